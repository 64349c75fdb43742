"""Tables that fit the terminal. In a pipe or a file each row is one line, and whole."""

import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from outbox.cli.terminal.text import first_line

FOLDED = ("about", "change", "error", "found", "payload", "queues", "result", "scopes", "why")
"""Columns that a narrow terminal folds. Others, such as ids, are never folded or cut."""
NARROWEST = 20
"""Columns are folded to no fewer characters than this."""
GAP = 2
"""Between columns."""


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    header: str
    cells: Sequence[Text]

    @property
    def values_width(self) -> int:
        return max((cell.cell_len for cell in self.cells), default=0)

    @property
    def width(self) -> int:
        return max(self.values_width, *map(len, self.header.split("\n")))

    @property
    def least_width(self) -> int:
        return min(self.width, NARROWEST) if self.name in FOLDED else self.width

    def narrowed(self) -> "_Column":
        """The column with one word of its header on each line, if the header is the widest."""
        wide = len(self.header) > self.values_width
        return replace(self, header=self.header.replace(" ", "\n")) if wide else self


def render(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], spare: Sequence[str]) -> str:
    """The rows as a table of these columns, as wide as the terminal at most.

    A terminal that has no room for all gets the table without as many of the `spare` columns as
    that takes, in their order. One that is still too narrow wraps rows itself.
    """
    found = [
        _Column(name, name.replace("_", " "), [first_line(row[name]) for row in rows])
        for name in columns
    ]
    width = _total(each.width for each in found)
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else width
    if width > room:
        found = _fit([each.narrowed() for each in found], spare, room)
        least = _total(each.least_width for each in found)
        width = max(least, min(room, _total(each.width for each in found)))
    return _print(found, width)


def _fit(columns: list[_Column], spare: Sequence[str], room: int) -> list[_Column]:
    for name in spare:
        if _total(each.least_width for each in columns) <= room:
            break
        columns = [each for each in columns if each.name != name]
    return columns


def _total(widths: Iterable[int]) -> int:
    each = list(widths)
    return sum(each) + GAP * (len(each) - 1)


def _print(columns: Sequence[_Column], width: int) -> str:
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    for each in columns:
        no_wrap = each.name not in FOLDED
        table.add_column(each.header, no_wrap=no_wrap, overflow="fold", min_width=each.least_width)
    for cells in zip(*(each.cells for each in columns), strict=True):
        table.add_row(*cells)
    # With a height, too, as rich takes a terminal that it calls dumb for 80 columns wide otherwise.
    console = Console(width=width, height=1, highlight=False, markup=False, emoji=False)
    with console.capture() as captured:
        console.print(table)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())
