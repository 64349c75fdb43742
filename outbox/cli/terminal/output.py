"""What commands print: data on stdout, talk on stderr, and neither commands the terminal."""

import json
import os
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.style import Style
from rich.table import Table
from rich.text import Text

from outbox.values.printable import plain

WIDE = 2000
"""Columns for what must not be folded or cut."""
LONG = ("error", "payload", "result")
"""Columns that are folded where a row would be wider than `WIDE`: else their end is cut."""
WIDEST_NAME = 24
"""Up to here values stand below each other, however long a name among them is."""


class Output(StrEnum):
    """How data is printed."""

    TABLE = "table"
    JSON = "json"
    NDJSON = "ndjson"


OutputOption = Annotated[
    Output,
    typer.Option(
        "--output", "-o", help="For people, or for programs: one JSON value, or one a line."
    ),
]

STATES = {
    "succeeded": "green",
    "running": "cyan",
    "scheduled": "blue",
    "dead": "bold red",
    "cancelled": "dim",
}


def talk(message: str) -> None:
    """Say something on stderr, each line marked as ours."""
    for line in message.splitlines():
        typer.echo(f"duly: {plain(line)}", err=True)


def show_rows(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], output: Output) -> None:
    """Print the rows: as a table these columns of them, as JSON all they hold."""
    match output:
        case Output.TABLE:
            # As wide as it must be: a terminal wraps rows, a table would cut ids and numbers.
            _print(_table(rows, columns))
        case Output.JSON:
            _write(_json(rows, indent=2))
        case Output.NDJSON:
            _write("\n".join(_json(row) for row in rows))


def show(record: Mapping[str, Any], output: Output) -> None:
    """Print one thing with all it holds; a table leaves out what is not there."""
    match output:
        case Output.TABLE:
            lines: list[list[str]] = [[]]
            _outline(record, lines, indent=0)
            colors = False if os.environ.get("NO_COLOR") else None
            typer.echo("\n".join("".join(line).rstrip() for line in lines), color=colors)
        case Output.JSON:
            _write(_json(record, indent=2))
        case Output.NDJSON:
            _write(_json(record))


def _print(table: Table) -> None:
    console = Console(width=WIDE, highlight=False, markup=False, emoji=False)
    with console.capture() as captured:
        console.print(table)
    _write("\n".join(line.rstrip() for line in captured.get().splitlines()))


def _table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.replace("_", " "), no_wrap=column not in LONG, overflow="fold")
    for row in rows:
        table.add_row(*(_cell(row[column]) for column in columns))
    return table


def _cell(value: object) -> Text:
    return _text(value.partition("\n")[0] if isinstance(value, str) else value)


def _outline(value: object, lines: list[list[str]], *, indent: int) -> None:
    """Write the value to the end of the last line, and what follows of it below, indented.

    Not as tables inside of tables: what these take doubles with each.
    """
    if isinstance(value, Mapping) and value:
        shown = [(plain(str(name)), inner) for name, inner in value.items() if inner is not None]
        width = min(max((len(name) for name, _ in shown), default=0), WIDEST_NAME) + 2
        for number, (name, inner) in enumerate(shown):
            _begin(lines, number, indent)
            lines[-1] += [typer.style(name, bold=True), " " * max(width - len(name), 2)]
            _outline(inner, lines, indent=indent + width)
    elif isinstance(value, list | tuple) and value:
        for number, inner in enumerate(value):
            _begin(lines, number, indent)
            _outline(inner, lines, indent=indent)
    else:
        words = _words(value)
        for number, line in enumerate(words.splitlines()):
            _begin(lines, number, indent)
            lines[-1].append(_painted(plain(line), STATES.get(words, "")))


def _begin(lines: list[list[str]], number: int, indent: int) -> None:
    """A line of its own for all but the first."""
    if number:
        lines.append([" " * indent])


def _painted(text: str, style: str) -> str:
    return Style.parse(style).render(text) if style else text


def _text(value: object) -> Text:
    words = _words(value)
    return Text("\n".join(map(plain, words.splitlines())), style=STATES.get(words, ""))


def _words(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"
    return _json(value).strip('"')


def _json(value: object, indent: int | None = None) -> str:
    return json.dumps(value, default=_encode, indent=indent)


def _encode(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, bytes):
        return b64encode(value).decode()
    return str(value)


def _write(text: str) -> None:
    if text:
        typer.echo(text)
