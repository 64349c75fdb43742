"""The text of a mail that was given only as HTML, for those who read no HTML.

Python's HTMLParser is not used: 100 KB of unclosed tags, which anybody can send, hold it up for two
minutes. Here each character is looked at a few times, whatever they are.
"""

import re
from collections.abc import Iterator
from html import unescape
from typing import NamedTuple

UNSEEN = ("head", "script", "style", "title", "template")
RAW = ("script", "style", "title")
"""Elements in which nothing but their own end is a tag."""
BLOCKS = (
    *("address", "article", "aside", "blockquote", "div", "footer", "form", "h1", "h2", "h3", "h4"),
    *("h5", "h6", "header", "hr", "main", "ol", "p", "pre", "section", "table", "tr", "ul"),
)
TAG = re.compile(r"<(/?)([A-Za-z][^\s/>]*)")
BEGIN = re.compile(r"<[A-Za-z/!?]")
"""What begins a tag or a comment; any other `<` is text."""
END_OR_QUOTE = re.compile(r""">|=\s*(["'])""")
ATTRIBUTE = re.compile(r"""\b(href|alt)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.IGNORECASE)


def of(html: str) -> str:
    """What a person would read of it: lines for blocks, and the addresses of links."""
    reader = _Reader()
    for piece in _pieces(html):
        if isinstance(piece, str):
            reader.text(piece)
        elif piece.is_end:
            reader.end(piece.name)
        else:
            reader.start(piece)
    lines = ("".join(reader.seen)).split("\n")
    text = "\n".join(" ".join(line.split()) for line in lines)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


class _Tag(NamedTuple):
    name: str
    is_end: bool
    rest: str
    """Its attributes, as they are written."""

    def attribute(self, name: str) -> str:
        """The attribute's value; an empty text without it."""
        for found in ATTRIBUTE.finditer(self.rest):
            if found[1].lower() == name:
                return unescape(found[2] or found[3] or found[4] or "")
        return ""


def _pieces(html: str) -> Iterator[str | _Tag]:
    """Texts and tags, in order. What begins and does not end is left out, as browsers do."""
    at = 0
    while opened := BEGIN.search(html, at):
        begin = opened.start()
        yield html[at:begin]
        if html.startswith("<!--", begin):
            at = _after(html, "-->", begin + 4)
        elif found := TAG.match(html, begin):
            end = _end_of_tag(html, found.end())
            if end == len(html):
                return
            tag = _Tag(found[2].lower(), bool(found[1]), html[found.end() : end])
            yield tag
            at = end + 1
            if tag.name in RAW and not tag.is_end:
                closed = re.compile(rf"</{tag.name}", re.IGNORECASE).search(html, at)
                at = closed.start() if closed else len(html)
        else:
            at = _after(html, ">", begin)
    yield html[at:]


def _after(html: str, end: str, at: int) -> int:
    """The place behind the next such end; that of the end of all if there is none."""
    found = html.find(end, at)
    return len(html) if found < 0 else found + len(end)


def _end_of_tag(html: str, at: int) -> int:
    """Where the `>` is that ends the tag: none in quotes. The end of all if there is none."""
    while found := END_OR_QUOTE.search(html, at):
        if found[1] is None:
            return found.start()
        at = _after(html, found[1], found.end())
    return len(html)


class _Reader:
    def __init__(self) -> None:
        self.seen: list[str] = []
        self._unseen = 0
        self._links: list[str] = []

    def start(self, tag: _Tag) -> None:
        """An element begins."""
        name = tag.name
        if name in UNSEEN:
            self._unseen += 1
        elif name == "br":
            self.seen.append("\n")
        elif name == "li":
            self.seen.append("\n- ")
        elif name in ("td", "th"):
            self.seen.append(" ")
        elif name == "img":
            self.seen.append(tag.attribute("alt"))
        elif name == "a":
            self._links.append(tag.attribute("href"))
        self._break(name)

    def end(self, name: str) -> None:
        """An element ends."""
        if name in UNSEEN:
            self._unseen = max(self._unseen - 1, 0)
        elif name == "a" and self._links and (link := self._links.pop()).startswith("http"):
            self.seen.append(f" ({link})")
        self._break(name)

    def text(self, text: str) -> None:
        """Text between two tags."""
        if not self._unseen:
            self.seen.append(re.sub(r"\s+", " ", unescape(text)))

    def _break(self, tag: str) -> None:
        if tag in BLOCKS:
            self.seen.append("\n" if tag == "tr" else "\n\n")
