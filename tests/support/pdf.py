"""Reads a PDF as a test looks at it."""

import io
from collections.abc import Iterator
from typing import Any

from pypdf import PageObject, PdfReader
from pypdf.generic import TextStringObject

MISSING = 0
"""The glyph that a font has for what it lacks: a box."""


def text(pdf: bytes) -> str:
    """What can be read on its pages."""
    return "\n".join(page.extract_text() for page in _pages(pdf))


def pages(pdf: bytes) -> int:
    """How many pages it has."""
    return len(_pages(pdf))


def boxes(pdf: bytes) -> int:
    """How many characters are drawn as a box, because no font has them."""
    return sum(glyph == MISSING for page in _pages(pdf) for glyph in _glyphs(page))


def fonts(pdf: bytes) -> set[str]:
    """The names of the fonts in it."""
    resources: list[Any] = [page["/Resources"] for page in _pages(pdf)]
    found = [font.get_object() for each in resources for font in each["/Font"].values()]
    return {str(font["/BaseFont"]).partition("+")[2] for font in found}


def _pages(pdf: bytes) -> list[PageObject]:
    return list(PdfReader(io.BytesIO(pdf)).pages)


def _glyphs(page: PageObject) -> Iterator[int]:
    """The numbers of the glyphs, two bytes each."""
    contents = page.get_contents()
    assert contents is not None
    for operands, operator in contents.operations:
        for part in _strings(operator, operands):
            yield from (int.from_bytes(part[n : n + 2]) for n in range(0, len(part), 2))


def _strings(operator: bytes, operands: Any) -> Iterator[bytes]:
    if operator not in (b"Tj", b"TJ"):
        return
    for part in operands[0] if operator == b"TJ" else operands:
        if isinstance(part, TextStringObject):
            yield part.original_bytes
        elif isinstance(part, bytes):
            yield part
