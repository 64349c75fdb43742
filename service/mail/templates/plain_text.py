"""The text of a mail that was given only as HTML, for those who read no HTML."""

import re
from html.parser import HTMLParser

UNSEEN = ("head", "script", "style", "title", "template")
BLOCKS = (
    *("address", "article", "aside", "blockquote", "div", "footer", "form", "h1", "h2", "h3", "h4"),
    *("h5", "h6", "header", "hr", "main", "ol", "p", "pre", "section", "table", "tr", "ul"),
)


def of(html: str) -> str:
    """What a person would read of it: lines for blocks, and the addresses of links."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    lines = ("".join(reader.seen)).split("\n")
    text = "\n".join(" ".join(line.split()) for line in lines)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self._unseen = 0
        self._links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in UNSEEN:
            self._unseen += 1
        elif tag == "br":
            self.seen.append("\n")
        elif tag == "li":
            self.seen.append("\n- ")
        elif tag in ("td", "th"):
            self.seen.append(" ")
        elif tag == "img":
            self.seen.append(given.get("alt") or "")
        elif tag == "a":
            self._links.append(given.get("href") or "")
        self._break(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in UNSEEN:
            self._unseen = max(self._unseen - 1, 0)
        elif tag == "a" and self._links and (link := self._links.pop()).startswith("http"):
            self.seen.append(f" ({link})")
        self._break(tag)

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.seen.append(re.sub(r"\s+", " ", data))

    def _break(self, tag: str) -> None:
        if tag in BLOCKS:
            self.seen.append("\n" if tag == "tr" else "\n\n")
