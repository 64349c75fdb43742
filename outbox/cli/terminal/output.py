"""What commands print: data on stdout, messages on stderr. Neither can control the terminal."""

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
"""The width of a table, in characters: rows up to this width are neither folded nor cut."""
LONG = ("error", "payload", "result")
"""Columns that are folded if a row is wider than `WIDE`. The ends of other columns are cut."""
WIDEST_NAME = 24
"""Values are aligned after names of up to this length."""


class Output(StrEnum):
    """The format of data."""

    TABLE = "table"
    JSON = "json"
    NDJSON = "ndjson"


OutputOption = Annotated[
    Output,
    typer.Option(
        "--output",
        "-o",
        metavar="FORMAT",
        help="table, for people; for programs json, or ndjson with a value on each line.",
    ),
]

STATES = {
    "succeeded": "green",
    "running": "cyan",
    "scheduled": "blue",
    "dead": "bold red",
    "cancelled": "dim",
}


def print_message(message: str) -> None:
    """Print a message on stderr, each line with the prefix `duly:`."""
    for line in message.splitlines():
        typer.echo(f"duly: {plain(line)}", err=True)


def show_rows(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], output: Output) -> None:
    """Print rows: a table of these columns, or JSON of everything they hold."""
    match output:
        case Output.TABLE:
            # Wider than a terminal, which wraps rows: a narrow table would cut ids and numbers.
            _print(_table(rows, columns))
        case Output.JSON:
            _write(_json(rows, indent=2))
        case Output.NDJSON:
            _write("\n".join(_json(row) for row in rows))


def show(record: Mapping[str, Any], output: Output) -> None:
    """Print one record with everything it holds. A table leaves out what is None."""
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
    return _rich_text(value.partition("\n")[0] if isinstance(value, str) else value)


def _outline(value: object, lines: list[list[str]], *, indent: int) -> None:
    """Append the value to the last line. What does not fit there follows below, indented.

    Nested tables would be simpler, but each level of nesting doubles the time they take.
    """
    if isinstance(value, Mapping) and value:
        shown = [(plain(str(name)), inner) for name, inner in value.items() if inner is not None]
        width = min(max((len(name) for name, _ in shown), default=0), WIDEST_NAME) + 2
        for number, (name, inner) in enumerate(shown):
            _start_line(lines, number, indent)
            lines[-1] += [typer.style(name, bold=True), " " * max(width - len(name), 2)]
            _outline(inner, lines, indent=indent + width)
    elif isinstance(value, list | tuple) and value:
        for number, inner in enumerate(value):
            _start_line(lines, number, indent)
            _outline(inner, lines, indent=indent)
    else:
        text = as_text(value)
        for number, line in enumerate(text.splitlines()):
            _start_line(lines, number, indent)
            lines[-1].append(_styled(plain(line), STATES.get(text, "")))


def _start_line(lines: list[list[str]], number: int, indent: int) -> None:
    """Start a new line for each item but the first."""
    if number:
        lines.append([" " * indent])


def _styled(text: str, style: str) -> str:
    return Style.parse(style).render(text) if style else text


def _rich_text(value: object) -> Text:
    text = as_text(value)
    return Text("\n".join(map(plain, text.splitlines())), style=STATES.get(text, ""))


def as_text(value: object) -> str:
    """The value as tables show it, its control characters not yet written out."""
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
