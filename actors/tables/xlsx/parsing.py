"""Parses XML as a stream, with limits on all that a parser would collect."""

from collections.abc import Iterator
from typing import IO, NamedTuple
from xml.parsers import expat

from actors.tables.rows import BadFile
from actors.tables.xlsx.archive import legible

PIECE = 64 * 1024
LONGEST_TAG = 1_000_000
"""Bytes of one tag or comment: the parser holds it until it is complete."""
LONGEST_TEXT = 40_000
"""Characters of a text. Excel's cells have up to 32,767."""
LONGEST_ATTRIBUTES = 10_000
"""Characters of all attributes of an element that says how the file is made: some are kept."""
DEEPEST = 100

Attributes = dict[str, str]


class Element(NamedTuple):
    """A start tag, without the prefixes of its name and of its attributes' names."""

    parent: str
    name: str
    attributes: Attributes


def feed(source: IO[bytes], parser: expat.XMLParserType) -> Iterator[None]:
    """Give the parser the source, piece by piece, and yield after each. Raises BadFile.

    A document type is refused, and with it all entities that could grow or fetch something.
    """
    parser.StartDoctypeDeclHandler = _refuse_doctype
    fed = 0
    try:
        while True:
            with legible():
                piece = source.read(PIECE)
            parser.Parse(piece, not piece)
            fed += len(piece)
            if fed - parser.CurrentByteIndex > LONGEST_TAG:
                raise BadFile(f"its XML has a tag of over {LONGEST_TAG:,} bytes")
            yield
            if not piece:
                return
    except (expat.ExpatError, LookupError, ValueError) as error:  # the last two of its encoding
        raise BadFile(f"the XML of the XLSX file is damaged: {error}") from None


def elements(source: IO[bytes]) -> Iterator[Element]:
    """All start tags, in order. Raises BadFile."""
    parser = expat.ParserCreate()
    path: list[str] = [""]
    found: list[Element] = []

    def start(name: str, attributes: Attributes) -> None:
        if len(path) > DEEPEST:
            raise BadFile(f"its XML is nested over {DEEPEST} levels deep")
        if sum(map(len, attributes.values())) > LONGEST_ATTRIBUTES:
            raise BadFile(f"its XML has an element with over {LONGEST_ATTRIBUTES:,} characters")
        bare = {local(key): value for key, value in attributes.items()}
        found.append(Element(path[-1], local(name), bare))
        path.append(local(name))

    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _: path.pop()
    for _ in feed(source, parser):
        yield from found
        found.clear()


def local(name: str) -> str:
    """The name without its prefix."""
    return name.rpartition(":")[2]


def _refuse_doctype(*_: object) -> None:
    raise BadFile("the XML of the XLSX file declares a document type, which none needs")
