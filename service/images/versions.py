"""The versions that are made of each image."""

from typing import Literal

Size = Literal["large", "medium", "small"]
Format = Literal["avif", "webp"]

SIZES: dict[Size, int] = {"large": 1600, "medium": 800, "small": 200}
"""The longer edge in pixels, at most: an image is never enlarged."""
MEDIA_TYPES: dict[Format, str] = {"avif": "image/avif", "webp": "image/webp"}
ACCEPTED = ("image/jpeg", "image/png", "image/gif", "image/webp", "image/avif", "image/tiff")
"""What an image may be sent as. SVG is not among them: it is a program for whoever shows it."""
LARGEST_SENT = 64_000_000
"""Bytes of an image as it is sent: all of them are in memory while it is decoded."""
