"""Pages with the font and colours of reports, and the few things that are drawn on them."""

from datetime import UTC, datetime
from typing import Literal

from fpdf import FPDF
from fpdf.fonts import TTFFont
from ttf_opensans import opensans

FONT = "Open Sans"
"""Covers Latin, Greek and Cyrillic."""
UNKNOWN = "\ufffd"
"""Drawn in place of a character of another script."""
Colour = tuple[int, int, int]
INK: Colour = (31, 41, 51)
MUTED: Colour = (108, 119, 133)
GRID: Colour = (225, 230, 236)
POSITIVE: Colour = (46, 104, 184)
NEGATIVE: Colour = (200, 85, 61)
MARGIN = 18.0
SMALLEST = 4.5
"""Points. A number is never cut, but it is written smaller."""
UNITS = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))


class Paper(FPDF):
    """A4 pages with numbers, and a line at their foot."""

    def __init__(self, title: str, made_at: datetime) -> None:
        super().__init__(format="A4")
        self._title_below = title
        self.add_font(FONT, "", opensans(400).path)
        self.add_font(FONT, "B", opensans(700).path)
        self.set_creation_date(made_at.astimezone(UTC))
        self.set_title(title)
        self.set_lang("en")
        self.set_margin(MARGIN)
        self.c_margin = 0  # texts begin and end where lines do
        self.set_auto_page_break(auto=True, margin=MARGIN)
        self.add_page()

    def footer(self) -> None:
        """Called by fpdf2 at the end of each page."""
        ink(self, MUTED, 7.5)
        # At the left, because fpdf2 puts the number of pages in place of {nb} in the end.
        text = f"{self._title_below}, page {self.page_no()} of {{nb}}"
        write(self, text, MARGIN, self.h - MARGIN + 5, self.epw, 4)

    def room_for(self, height: float) -> None:
        """Go on to the next page, unless the height fits on this one."""
        if self.will_page_break(height):
            self.add_page()


def ink(page: FPDF, colour: Colour, size: float, *, bold: bool = False) -> None:
    """Choose how texts are written from here on."""
    page.set_font(FONT, "B" if bold else "", size)
    page.set_text_color(*colour)


def write(
    page: FPDF,
    text: str,
    x: float,
    y: float,
    width: float,
    height: float,
    align: Literal["L", "R", "C"] = "L",
) -> None:
    """Write one line in a box of this size. What does not fit is cut, and ends with an ellipsis."""
    page.set_xy(x, y)
    page.cell(width, height, fitted(page, text, width), align=align)


def write_number(page: FPDF, text: str, x: float, y: float, width: float, height: float) -> None:
    """Write a number at the right of a box. One that does not fit is written smaller."""
    size = page.font_size_pt
    needed = page.get_string_width(text) or 1.0
    page.set_font_size(max(SMALLEST, min(size, size * width / needed)))
    page.set_xy(x, y)
    page.cell(width, height, text, align="R")
    page.set_font_size(size)


def fitted(page: FPDF, text: str, width: float) -> str:
    """As much of the text as fits, in one line."""
    text = _drawable(page, " ".join(text.split()))
    if page.get_string_width(text) <= width:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        fits = page.get_string_width(f"{text[:middle]}…") <= width
        low, high = (middle, high) if fits else (low, middle - 1)
    return f"{text[:low].rstrip()}…"


def _drawable(page: FPDF, text: str) -> str:
    """The text, with a sign in place of each character that the font lacks."""
    font = page.current_font
    known = font.cmap if isinstance(font, TTFFont) else {}
    return "".join(each if ord(each) in known else UNKNOWN for each in text)


def short(value: float) -> str:
    """The number in a few characters: 1.2M."""
    if abs(value) >= 1000 * UNITS[0][0]:
        return f"{value:.2g}".replace("e+", "e")
    for unit, name in UNITS:
        if abs(value) >= unit:
            return f"{value / unit:,.4g}{name}"
    return f"{value:.4g}"
