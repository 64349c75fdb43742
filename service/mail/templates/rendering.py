"""Fills templates of mails in: when a mail is submitted, so that what is missing is refused there.

Jinja2 is imported when the first template is used, as most processes use none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unicodedata import bidirectional

if TYPE_CHECKING:
    from jinja2 import Environment

FOLDER = Path(__file__).parent
FROM_RIGHT = ("R", "AL")
LEFT_TO_RIGHT_MARK = "\u200e"
SUBJECT, TEXT, BODY = "subject.txt", "text.txt", "body.html"


class NoSuchTemplate(LookupError):
    """There is no template of this name."""


class BadData(ValueError):
    """The data lacks what the template shows, has what it does not, or is of another sort."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A template, filled in. `html` is None if the template has none."""

    subject: str
    text: str
    html: str | None


def names() -> list[str]:
    """All templates, sorted."""
    return sorted(found.parent.name for found in FOLDER.glob(f"*/{TEXT}"))


@cache
def fields(name: str) -> tuple[str, ...]:
    """The names of the data that the template needs, sorted. Raises NoSuchTemplate."""
    from jinja2.meta import find_undeclared_variables

    parse = _environment().parse
    sources = [(_folder(name) / file).read_text() for file in _files(name)]
    return tuple(
        sorted({each for text in sources for each in find_undeclared_variables(parse(text))})
    )


def render(name: str, data: Mapping[str, Any]) -> Rendered:
    """Fill the template in. The subject is one line. Raises NoSuchTemplate, BadData.

    Values are escaped in HTML. A template cannot call what is not its own, nor change the data.
    """
    from jinja2.exceptions import TemplateRuntimeError

    if unknown := set(data) - set(fields(name)):
        raise BadData(f"{min(unknown)!r} is no field of the template {name!r}")
    try:
        shown = {
            file: _environment().get_template(f"{name}/{file}").render(data)
            for file in _files(name)
        }
    except (TemplateRuntimeError, TypeError, ValueError, LookupError, ArithmeticError) as error:
        raise BadData(f"the template {name!r} cannot show it: {error}") from None
    return Rendered(" ".join(shown[SUBJECT].split()), shown[TEXT], shown.get(BODY))


def _files(name: str) -> list[str]:
    folder = _folder(name)
    return [file for file in (SUBJECT, TEXT, BODY) if (folder / file).exists()]


def _folder(name: str) -> Path:
    if name not in names():
        raise NoSuchTemplate(name)
    return FOLDER / name


@cache
def _environment() -> Environment:
    from jinja2 import FileSystemLoader, StrictUndefined, select_autoescape
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    made = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(FOLDER),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters["before_number"] = before_number
    return made


def before_number(text: str) -> str:
    """A text after which a number follows in plain text.

    Arabic or Hebrew ends with a mark that nobody sees. Without it, the number is put before the
    text, beside whatever number is there.
    """
    if any(bidirectional(each) in FROM_RIGHT for each in text):
        return text + LEFT_TO_RIGHT_MARK
    return text
