"""Finds the columns of charges in the header of a table."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from actors.tables.rows import BadFile, Broken, Cell

COLUMNS = {
    "customer": ("customer name", "client", "name"),
    "email": ("e mail", "mail", "customer email"),
    "description": ("item", "service", "text"),
    "quantity": ("qty", "amount", "units"),
    "unit_price": ("unit price", "price", "rate"),
    "currency": ("ccy",),
    "date": ("charged on", "day"),
    "reference": ("ref", "external reference", "id"),
}
"""The columns in their order, with the other names that each may have."""
OPTIONAL = {"reference"}
NAMES = {
    alias: name for name, others in COLUMNS.items() for alias in (name.replace("_", " "), *others)
}
SHOWN = 60
MOST_SHOWN = 10


def column_of(text: object) -> str | None:
    """The column that a text names, whatever its case, spaces, underscores and hyphens."""
    return NAMES.get(re.sub(r"[\s_-]+", " ", str(text)).strip().casefold())


def is_column(text: str) -> bool:
    """Whether the text names a column."""
    return column_of(text) is not None


@dataclass(frozen=True, slots=True)
class Header:
    """Where in a row each column of COLUMNS is; None for an optional one that is missing."""

    places: tuple[int | None, ...]
    width: int

    def order(self, cells: Sequence[Cell], *, pads: bool) -> list[Cell] | Broken:
        """The cells in the order of COLUMNS. Broken if there are too many or too few."""
        if any(cell != "" for cell in cells[self.width :]):
            return Broken(f"has more fields than the {self.width} of the header")
        if len(cells) < self.width and not pads:
            return Broken(f"has {len(cells)} fields, and the header has {self.width}")
        return [
            cells[place] if place is not None and place < len(cells) else ""
            for place in self.places
        ]


def read_header(cells: Sequence[Cell] | Broken) -> Header:
    """Raises BadFile, which names all that is missing, unknown or there twice."""
    if isinstance(cells, Broken):
        raise BadFile(f"its first row is {cells.why}")
    names = _without_empty_end(cells)
    found = [column_of(name) for name in names]
    missing = [name for name in COLUMNS if name not in found and name not in OPTIONAL]
    unknown = [str(name) for name, column in zip(names, found, strict=True) if column is None]
    twice = [name for name in COLUMNS if found.count(name) > 1]
    if wrong := [*_told("missing", missing), *_told("unknown", unknown), *_told("twice", twice)]:
        raise BadFile(f"its columns are not those of charges: {'; '.join(wrong)}")
    places = tuple(found.index(name) if name in found else None for name in COLUMNS)
    return Header(places, len(found))


def _told(what: str, names: Iterable[str]) -> list[str]:
    shown = [name[:SHOWN] if name.isprintable() else repr(name[:SHOWN]) for name in names]
    return [f"{what} {', '.join(each or 'a name' for each in shown[:MOST_SHOWN])}"] if shown else []


def _without_empty_end(cells: Sequence[Cell]) -> list[Cell]:
    names = [*cells]
    while names and names[-1] == "":
        names.pop()
    return names
