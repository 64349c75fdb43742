"""What commands print: data on stdout, messages on stderr. Neither can control the terminal."""

import os
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.style import Style

from outbox.cli.terminal import tables
from outbox.cli.terminal.text import STATES, as_json, as_text
from outbox.values.printable import plain

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


def print_message(message: str) -> None:
    """Print a message on stderr, each line with the prefix `duly:`."""
    for line in message.splitlines():
        typer.echo(f"duly: {plain(line)}", err=True)


def show_rows(
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[str],
    output: Output,
    *,
    spare: Sequence[str] = (),
) -> None:
    """Print rows: a table of these columns, or JSON of everything they hold.

    A narrow terminal does without the `spare` columns, the first of them first.
    """
    match output:
        case Output.TABLE:
            _write(tables.render(rows, columns, spare))
        case Output.JSON:
            _write(as_json(rows, indent=2))
        case Output.NDJSON:
            _write("\n".join(as_json(row) for row in rows))


def show(record: Mapping[str, Any], output: Output) -> None:
    """Print one record with everything it holds. A table leaves out what is None."""
    match output:
        case Output.TABLE:
            lines: list[list[str]] = [[]]
            _outline(record, lines, indent=0)
            colors = False if os.environ.get("NO_COLOR") else None
            typer.echo("\n".join("".join(line).rstrip() for line in lines), color=colors)
        case Output.JSON:
            _write(as_json(record, indent=2))
        case Output.NDJSON:
            _write(as_json(record))


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


def _write(text: str) -> None:
    if text:
        typer.echo(text)
