"""Makes the versions of an image: upright, in sRGB, without anything but pixels."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from typing import Any

from PIL import ExifTags, Image, ImageCms, ImageFile

from actors.imaging.opening import load
from service.images.versions import SIZES, Format, Size

LARGEST = max(SIZES.values())
SHARP = Image.Resampling.LANCZOS
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What is done for each value of EXIF's orientation."""
OPTIONS: dict[Format, dict[str, Any]] = {
    # One thread: how many cores images take is for the limit of their key to say. Speed 8 takes a
    # third of the time of the default, 6, for files of the same size.
    "avif": {"quality": 60, "speed": 8, "max_threads": 1},
    "webp": {"quality": 80, "method": 4},
}


@dataclass(frozen=True, slots=True)
class Version:
    """One size of an image in one format."""

    size: Size
    format: Format
    width: int
    height: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded image, upright and in sRGB, at most as large as the largest version."""

    pixels: Image.Image
    width: int
    """Of the whole image, as it is shown."""
    height: int


def decoded(image: ImageFile.ImageFile) -> Picture:
    """The picture. Raises Refused if the image is cut off or damaged."""
    width, height = image.size
    load(image, LARGEST)
    orientation = _orientation(image)
    profile = image.info.get("icc_profile")
    pixels = _resized(_full_colour(image), *_within(width, height, LARGEST))
    if orientation in TURNS:
        pixels = pixels.transpose(TURNS[orientation])
        if orientation >= 5:
            width, height = height, width
    return Picture(_in_srgb(pixels, profile), width, height)


def versions(picture: Picture) -> Iterator[Version]:
    """All versions of the picture. The same picture gives the same bytes."""
    for size, edge in SIZES.items():
        pixels = _resized(picture.pixels, *_within(picture.width, picture.height, edge))
        for format_, options in OPTIONS.items():
            content = BytesIO()
            pixels.save(content, format_, icc_profile=_srgb_bytes(), **options)
            yield Version(size, format_, *pixels.size, content.getvalue())


def _orientation(image: Image.Image) -> int:
    """EXIF's orientation; 1, which is upright, if EXIF is damaged: the pixels may be good."""
    try:
        found = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # noqa: BLE001 - parsers raise anything for bytes made for it
        return 1
    return found if isinstance(found, int) else 1


def _within(width: int, height: int, edge: int) -> tuple[int, int]:
    """The size of an image of which the longer edge is at most this."""
    scale = min(edge / max(width, height), 1)
    return max(round(width * scale), 1), max(round(height * scale), 1)


def _resized(image: Image.Image, width: int, height: int) -> Image.Image:
    if image.size == (width, height):
        return image
    return image.resize((width, height), SHARP, reducing_gap=3.0)


def _full_colour(image: Image.Image) -> Image.Image:
    """The image with eight bits for each channel and without a palette; in CMYK if it is that."""
    if image.mode.startswith("I;16"):
        return image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    if image.mode in ("P", "PA", "LA", "RGBA") or "transparency" in image.info:
        return image.convert("RGBA")
    if image.mode == "1":
        return image.convert("L")
    return image if image.mode in ("L", "CMYK", "LAB") else image.convert("RGB")


def _in_srgb(pixels: Image.Image, profile: bytes | None) -> Image.Image:
    """The pixels in sRGB, without any of the file's metadata.

    An image without a profile, or with one that cannot be used, is taken for sRGB.
    """
    alpha = pixels.getchannel("A") if pixels.mode == "RGBA" else None
    colours = pixels.convert("RGB") if alpha else pixels
    colours = _converted(colours, profile) or colours.convert("RGB")
    if alpha:
        colours.putalpha(alpha)
    colours.info = {}
    return colours


def _converted(pixels: Image.Image, profile: bytes | None) -> Image.Image | None:
    if not profile:
        return None
    try:
        given = ImageCms.ImageCmsProfile(BytesIO(profile))
        return ImageCms.profileToProfile(pixels, given, _srgb(), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None


@cache
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


@cache
def _srgb_bytes() -> bytes:
    """The profile without the time at which it was made, so that versions have the same bytes."""
    profile = _srgb().tobytes()
    return profile[:24] + bytes(12) + profile[36:]
