"""Sets a template in type as a PDF.

Typst shapes and orders the texts of all scripts, breaks their lines and embeds what is needed of
the fonts. Templates get data, never markup: a text from outside is drawn as it is.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import typst

TEMPLATES = Path(__file__).parent / "templates"
FONTS = ("manimgx_fonts", "manimgx_fonts_cjk")
"""The packages with Noto Sans and Noto Emoji: files, and no code that is run."""


def typeset(template: str, data: Mapping[str, Any], made_at: datetime) -> bytes:
    """The template with this data, as a PDF of A4 pages. The same data gives the same bytes."""
    pdf = typst.compile(
        TEMPLATES / f"{template}.typ",
        root=TEMPLATES,
        font_paths=_fonts(),
        sys_inputs={"data": json.dumps(data)},
        timestamp=int(made_at.timestamp()),
    )
    if not isinstance(pdf, bytes):
        raise TypeError("a PDF is one file")
    return pdf


@cache
def _fonts() -> typst.Fonts:
    """Where the fonts are. What they contain is read when a character of theirs is drawn."""
    folders = [str(files(package)) for package in FONTS]
    return typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=folders)
