"""Images of strangers: what is made of them, and what is refused."""

import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageCms

from actors.imaging.opening import Refused, opened
from actors.imaging.versions import Picture, Version, decoded, versions

MOST_PIXELS = 1_000_000
RED, GREEN, BLUE, WHITE = (230, 20, 20), (20, 200, 20), (20, 20, 220), (255, 255, 255)
PLACE = (51, 4, 0.0)
"""Degrees, minutes and seconds of where a picture was taken."""


def saved(image: Image.Image, format_: str = "PNG", **options: Any) -> bytes:
    content = BytesIO()
    image.save(content, format_, **options)
    return content.getvalue()


def process(content: bytes, declared: str = "image/*") -> tuple[Picture, list[Version]]:
    picture = decoded(opened(content, declared, MOST_PIXELS))
    return picture, list(versions(picture))


def corners(width: int, height: int) -> Image.Image:
    """Red at the top left, green at the top right, blue below, white beside it."""
    image = Image.new("RGB", (2, 2), WHITE)
    for place, colour in {(0, 0): RED, (1, 0): GREEN, (0, 1): BLUE}.items():
        image.putpixel(place, colour)
    return image.resize((width, height), Image.Resampling.NEAREST)


def is_like(pixel: Any, colour: tuple[int, ...], within: int = 40) -> bool:
    return all(abs(one - other) <= within for one, other in zip(pixel, colour, strict=True))


def shown(version: Version) -> Image.Image:
    """The version as a browser shows it, after a look at what it carries besides pixels."""
    image = Image.open(BytesIO(version.content))
    assert image.size == (version.width, version.height)
    assert not {"exif", "xmp"} & set(image.info)
    profile = ImageCms.ImageCmsProfile(BytesIO(image.info["icc_profile"]))
    assert "sRGB" in ImageCms.getProfileDescription(profile)
    return image.convert("RGBA")


@settings(max_examples=20)
@given(
    width=st.integers(2, 300),
    height=st.integers(2, 300) | st.just(1700),
    orientation=st.integers(1, 8),
    format_=st.sampled_from(["JPEG", "PNG", "TIFF", "WEBP", "AVIF"]),
)
def test_every_version_is_upright_and_in_proportion(
    width: int, height: int, orientation: int, format_: str
) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    content = saved(corners(width, height), format_, exif=exif, quality=95)

    picture, made = process(content)

    upright = (height, width) if orientation >= 5 else (width, height)
    assert (picture.width, picture.height) == upright
    assert len(made) == 6
    for each in made:
        assert max(each.width, each.height) == min(max(upright), _edge(each))
        scale = max(each.width, each.height) / max(upright)
        assert abs(each.width - upright[0] * scale) <= 1
        assert abs(each.height - upright[1] * scale) <= 1
    if min(width, height) >= 50 and max(width, height) <= 8 * min(width, height):
        _assert_corners(shown(made[0]), orientation)


TOP_LEFT = {1: RED, 2: GREEN, 3: WHITE, 4: BLUE, 5: RED, 6: BLUE, 7: WHITE, 8: GREEN}
TOP_RIGHT = {1: GREEN, 2: RED, 3: BLUE, 4: WHITE, 5: BLUE, 6: RED, 7: GREEN, 8: WHITE}


def _assert_corners(image: Image.Image, orientation: int) -> None:
    quarter, three = image.width // 4, image.width * 3 // 4
    row = image.height // 4
    assert is_like(image.getpixel((quarter, row)), (*TOP_LEFT[orientation], 255))
    assert is_like(image.getpixel((three, row)), (*TOP_RIGHT[orientation], 255))


def _edge(version: Version) -> int:
    return {"large": 1600, "medium": 800, "small": 200}[version.size]


def _with_exif_everywhere() -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Camera of Ada"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = PLACE
    return saved(corners(60, 40), "JPEG", exif=exif, xmp=b"<x>latitude</x>", comment=b"at home")


def test_no_version_says_where_it_was_taken_or_by_what() -> None:
    content = _with_exif_everywhere()
    assert b"Camera of Ada" in content
    assert Image.open(BytesIO(content)).getexif().get_ifd(ExifTags.IFD.GPSInfo)

    for each in process(content)[1]:
        shown(each)
        for told in (b"Camera of Ada", b"latitude", b"at home"):
            assert told not in each.content


def test_a_second_attempt_makes_the_same_bytes() -> None:
    content = saved(corners(300, 200), "JPEG")
    assert process(content)[1] == process(content)[1]


def test_a_colour_profile_is_applied() -> None:
    """A profile that swaps red and green shows whether it was applied, or only dropped."""
    lab = ImageCms.createProfile("LAB")
    image = Image.new("LAB", (20, 20), (136, 208, 195))  # red
    content = saved(image, "TIFF", icc_profile=ImageCms.ImageCmsProfile(lab).tobytes())
    assert is_like(shown(process(content)[1][0]).getpixel((5, 5)), (255, 0, 0, 255), 60)


def test_a_profile_that_cannot_be_used_is_passed_over() -> None:
    content = saved(Image.new("RGB", (20, 20), RED), icc_profile=b"no profile")
    assert is_like(shown(process(content)[1][0]).getpixel((5, 5)), (*RED, 255), 12)


@pytest.mark.parametrize(
    ("image", "format_", "expected"),
    [
        (Image.new("L", (20, 20), 90), "PNG", (90, 90, 90, 255)),
        (Image.new("LA", (20, 20), (90, 128)), "PNG", (90, 90, 90, 128)),
        (Image.new("1", (20, 20), 1), "PNG", (255, 255, 255, 255)),
        (Image.new("RGBA", (20, 20), (*RED, 0)), "PNG", (*RED, 0)),
        (Image.new("CMYK", (20, 20), (0, 230, 230, 20)), "JPEG", (235, 23, 23, 255)),
        (Image.new("I;16", (20, 20), 40_000), "PNG", (156, 156, 156, 255)),
        (Image.new("I;16", (20, 20), 40_000), "TIFF", (156, 156, 156, 255)),
        (Image.new("RGB", (20, 20), RED).convert("P"), "GIF", (*RED, 255)),
    ],
    ids=[
        "grey",
        "grey with alpha",
        "black and white",
        "alpha",
        "CMYK",
        "16 bit",
        "TIFF",
        "palette",
    ],
)
def test_every_kind_of_pixel_is_understood(
    image: Image.Image, format_: str, expected: tuple[int, ...]
) -> None:
    pixel: Any = shown(process(saved(image, format_))[1][1]).getpixel((5, 5))
    assert is_like(pixel[3:], expected[3:], 6)
    assert expected[3] == 0 or is_like(pixel, expected, 24)


def test_a_palette_keeps_what_is_transparent() -> None:
    image = Image.new("P", (20, 20), 1)
    image.putpalette([*WHITE, *RED])
    image.paste(0, (0, 0, 10, 20))
    made = shown(process(saved(image, "GIF", transparency=0))[1][1])
    assert (made.getpixel((3, 10))[3], made.getpixel((16, 10))[3]) == (0, 255)  # type: ignore[index]


def test_an_animation_is_its_first_frame() -> None:
    first, second = Image.new("RGB", (30, 20), RED), Image.new("RGB", (30, 20), BLUE)
    for format_ in ("GIF", "PNG", "WEBP"):
        content = saved(first, format_, save_all=True, append_images=[second] * 5)
        made = process(content, f"image/{format_.lower()}")[1]
        assert is_like(shown(made[0]).getpixel((5, 5)), (*RED, 255), 24), format_


def _bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header says that it is this large."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


GOOD = saved(corners(300, 300), "JPEG")
SVG = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"


@pytest.mark.parametrize(
    ("content", "declared", "why"),
    [
        (_bomb(1001, 1000), "image/png", "1001 x 1000 pixels"),
        (_bomb(60_000, 60_000), "image/png", "far too many pixels"),
        (_bomb(1_000_000, 1), "image/png", "an edge may have 30000"),
        (GOOD[: len(GOOD) // 2], "image/jpeg", "cut off or damaged"),
        (saved(corners(99, 99))[:-80], "image/png", "cut off or damaged"),
        (GOOD, "image/png", "sent as image/png, and is image/jpeg"),
        (GOOD, "text/html", "sent as text/html, and is image/jpeg"),
        (SVG, "image/svg+xml", "SVG, which is not accepted"),
        (SVG, "image/png", "none of image/jpeg"),
        (b"", "image/png", "none of image/jpeg"),
        (b"%PDF-1.7", "application/pdf", "none of image/jpeg"),
        (saved(Image.new("F", (9, 9)), "TIFF"), "image/tiff", "the format F"),
    ],
    ids=[
        *("too large", "bomb", "too long", "half a JPEG", "most of a PNG", "a JPEG as PNG"),
        *("a JPEG as HTML", "SVG", "SVG as PNG", "nothing", "PDF", "floats"),
    ],
)
def test_what_cannot_be_processed_is_refused_with_a_reason(
    content: bytes, declared: str, why: str
) -> None:
    with pytest.raises(Refused, match=why):
        process(content, declared)


@pytest.mark.parametrize("declared", ["image/jpeg", "image/jpg", "application/octet-stream"])
def test_a_right_or_an_open_label_is_taken(declared: str) -> None:
    assert len(process(GOOD, declared)[1]) == 6


def test_damaged_exif_does_not_keep_good_pixels_from_being_shown() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    good = saved(corners(60, 40), "WEBP", exif=exif)
    damaged = good.replace(b"MM\0*", b"MM\0?")
    assert damaged != good
    assert (process(good)[0].width, process(damaged)[0].width) == (40, 60)


def _cut(content: bytes, at: int) -> bytes:
    return content[: at % len(content)]


def _flip(content: bytes, at: int) -> bytes:
    at %= len(content)
    return content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :]


DAMAGED = [
    saved(corners(90, 70), format_) for format_ in ("JPEG", "PNG", "GIF", "WEBP", "AVIF", "TIFF")
]


@settings(max_examples=60)
@given(
    content=st.sampled_from(DAMAGED), change=st.sampled_from([_cut, _flip]), at=st.integers(0, 9999)
)
def test_damage_is_refused_or_does_no_harm(
    content: bytes, change: Callable[[bytes, int], bytes], at: int
) -> None:
    with suppress(Refused):
        assert len(process(change(content, at))[1]) == 6
