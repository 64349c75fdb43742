"""Undoes the encodings of a text, and maps each decoded character back to the original."""

import html
import re
from base64 import b64decode
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import unquote_plus

Encoding = tuple[re.Pattern[str], Callable[[str], str]]
"""A pattern for one or several escapes in a row, and the function that decodes a match."""

_BREAK = r"(?:\r?\n|(?:\\r)?\\n)"
_RUN = r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{6,}+"
_CHARACTERS = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


@dataclass(frozen=True, slots=True)
class View:
    """A text, and for each character the begin and end of its source in the original text."""

    text: str
    begins: Sequence[int]
    ends: Sequence[int]


def views(text: str) -> Iterator[View]:
    """The text as it stands, and as it reads with one or two of its possible encodings undone.

    Each combination is a view of its own, because an escape in one encoding may be plain text in
    another: in `?to=ab` a mail program would read `=ab`. What base64 yields is not decoded further.
    """
    whole = View(text, range(len(text)), range(1, len(text) + 1))
    once = list(_undone(whole, _ESCAPES))
    yield from (whole, *once, *_undone(whole, _BASE64))
    for view in once:
        yield from _undone(view, _ESCAPES + _BASE64)


def _undone(view: View, encodings: Sequence[Encoding]) -> Iterator[View]:
    for escapes, decode in encodings:
        decoded = _decoded(view, escapes, decode) if escapes.search(view.text) else view
        if decoded.text != view.text:
            yield decoded


def _decoded(view: View, escapes: re.Pattern[str], decode: Callable[[str], str]) -> View:
    parts: list[str] = []
    begins: list[int] = []
    ends: list[int] = []
    last = 0

    def keep(until: int) -> None:
        parts.append(view.text[last:until])
        begins.extend(view.begins[last:until])
        ends.extend(view.ends[last:until])

    for escape in escapes.finditer(view.text):
        keep(escape.start())
        last = escape.end()
        parts.append(decode(escape[0]))
        begins += [view.begins[escape.start()]] * len(parts[-1])
        ends += [view.ends[last - 1]] * len(parts[-1])
    keep(len(view.text))
    return View("".join(parts), begins, ends)


def _quoted_printable(escape: str) -> str:
    if escape == "_":  # in a header it stands for a space
        return " "
    if escape[1] in "\r\n\\":  # a soft line break
        return ""
    return _of_bytes(bytes.fromhex(escape.replace("=", "")))


def _backslash(escape: str) -> str:
    match escape[1]:
        case "x":
            return _of_bytes(bytes.fromhex(escape.replace("\\x", "")))
        case "u":
            pairs = bytes.fromhex(escape.replace("\\u", ""))
            return pairs.decode("utf-16-be", "surrogatepass")
        case "U":
            number = int.from_bytes(bytes.fromhex(escape[2:]))
            return chr(number) if number <= 0x10FFFF else escape
    return _CHARACTERS.get(escape[1], escape[1])


def _base64(run: str) -> str:
    """The run, decoded from each of its first four characters on: one of them is where it began."""
    letters = re.sub(rf"{_BREAK}|=", "", run).replace("-", "+").replace("_", "/")
    found = []
    for start in range(4):
        length = len(letters) - start
        padding = {2: "==", 3: "="}.get(length % 4, "")
        whole = letters[start : len(letters) if padding else start + length // 4 * 4]
        found.append(b64decode(whole + padding).decode(errors="replace"))
    return " ".join(found)


def _of_bytes(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("latin-1")


_ESCAPES: list[Encoding] = [
    (re.compile(r"(?:%[0-9A-Fa-f]{2})+|\+"), unquote_plus),
    (re.compile(rf"={_BREAK}|(?:=[0-9A-Fa-f]{{2}})+"), _quoted_printable),
    (re.compile(r"(?:=[0-9A-Fa-f]{2})+|_"), _quoted_printable),  # in a header
    (
        re.compile(
            r"\\\\|(?:\\x[0-9A-Fa-f]{2})+|(?:\\u[0-9A-Fa-f]{4})+|\\U[0-9A-Fa-f]{8}"
            r"""|\\[abfnrtv'"/]"""
        ),
        _backslash,
    ),
    (re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z]{2,8});"), html.unescape),
]
_BASE64: list[Encoding] = [
    (re.compile(rf"{_RUN}={{0,2}}"), _base64),
    (re.compile(rf"{_RUN}(?:{_BREAK}[A-Za-z0-9+/_-]++)++={{0,2}}"), _base64),
]
