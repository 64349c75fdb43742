"""Finds out in which encoding a text is."""

import codecs
from io import BufferedReader

from actors.tables.rows import BadFile

BLOCK = 256 * 1024
MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
"""Byte order marks. UTF-32's begins with UTF-16's, so it comes first."""


def mark_of(file: BufferedReader) -> tuple[bytes, str | None]:
    """The byte order mark at the beginning, and the encoding that it stands for."""
    file.seek(0)
    head = file.read(4)
    found = [(mark, name) for mark, name in MARKS.items() if head.startswith(mark)]
    return found[0] if found else (b"", None)


def check_utf8(file: BufferedReader) -> None:
    """Read all of the file. Raises BadFile if it is not UTF-8, or no text.

    Another encoding is not guessed: of Western and Central European texts that are short, or have
    few letters with accents, guesses are wrong too often, and then names are wrong on invoices.
    """
    file.seek(0)
    decoder, lines = codecs.getincrementaldecoder("utf-8")(), 0
    while True:
        block = file.read(BLOCK)
        if b"\0" in block:
            raise BadFile("it holds NUL bytes: neither CSV nor XLSX. If it is UTF-16, say so")
        try:
            decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            line = lines + block.count(b"\n", 0, error.start) + 1
            raise BadFile(f"line {line} is not UTF-8: say `encoding`, such as cp1252") from None
        if not block:
            return
        lines += block.count(b"\n")
