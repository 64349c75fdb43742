"""Opens an image that a stranger sent, or says what is wrong with it."""

from io import BytesIO

from PIL import Image, ImageFile

from service.images.versions import ACCEPTED

FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "AVIF", "TIFF")
"""Pillow's decoders that are tried. It has others, for formats that nobody sends in good faith."""
MODES = {
    *("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB"),
    *("I;16", "I;16B", "I;16L"),
}
UNKNOWN = ("application/octet-stream", "image/*")
SAME = {
    **dict.fromkeys(("image/jpg", "image/pjpeg", "image/mpo"), "image/jpeg"),
    "image/apng": "image/png",
}
LONGEST_EDGE = 30_000
"""So that one row of pixels, and what libraries make of it, stays small."""


class Refused(Exception):
    """The file is no image that is processed. The text says why, for whoever sent it."""


def opened(content: bytes, declared: str, most_pixels: int) -> ImageFile.ImageFile:
    """The image, of which only the header was read.

    An animation is its first frame, which is all that is ever decoded. Raises Refused for what is
    no image of an accepted format, is another than declared, or would be too large in memory.
    """
    try:
        image = Image.open(BytesIO(content), formats=FORMATS)
    except Exception as error:  # noqa: BLE001 - decoders raise anything for bytes made for it
        raise Refused(_unreadable(declared, error)) from None
    _check_label(image, declared)
    _check_size(image, most_pixels)
    if image.mode not in MODES:
        raise Refused(f"its pixels have the format {image.mode}, which is not supported")
    return image


def load(image: ImageFile.ImageFile, edge: int) -> None:
    """Decode the image; a JPEG only as large as is needed for this edge. Raises Refused."""
    try:
        image.draft(None, (edge, edge))
        image.load()
    except MemoryError:
        raise  # not the image's fault: the next attempt may find room
    except Exception as error:  # noqa: BLE001 - as above
        raise Refused(f"it cannot be decoded: it is cut off or damaged ({error})") from None


def _unreadable(declared: str, error: Exception) -> str:
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return "it has far too many pixels"
    if declared == "image/svg+xml":
        return "it is SVG, which is not accepted: send pixels"
    return f"it is none of {', '.join(ACCEPTED)}, or its header is damaged"


def _check_label(image: ImageFile.ImageFile, declared: str) -> None:
    found = image.get_format_mimetype() or ""
    found = SAME.get(found, found)
    if declared not in UNKNOWN and SAME.get(declared, declared) != found:
        raise Refused(f"it was sent as {declared}, and is {found}")


def _check_size(image: ImageFile.ImageFile, most_pixels: int) -> None:
    width, height = image.size
    if width * height > most_pixels:
        raise Refused(f"it has {width} x {height} pixels, and {most_pixels} in all are allowed")
    if max(width, height) > LONGEST_EDGE:
        raise Refused(f"it has {width} x {height} pixels: an edge may have {LONGEST_EDGE}")
    if min(width, height) < 1:
        raise Refused("it has no pixels")
