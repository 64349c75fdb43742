"""Finds out by which character the fields of a CSV file are separated."""

import csv
import re
from collections.abc import Callable, Sequence

SEPARATORS = (",", ";", "\t", "|")
STATED = re.compile(r"sep=(.)\r?\n?", re.IGNORECASE)
"""A first line that Excel understands, and writes nowhere else."""


def stated_in(line: str) -> str | None:
    """The separator that the first line names."""
    found = STATED.fullmatch(line)
    return found[1] if found else None


def find_separator(lines: Sequence[str], known: Callable[[str], bool]) -> str:
    """The one with which most names in the header are `known`; a comma if none is."""

    def score(separator: str) -> int:
        return sum(map(known, _header(lines, separator)))

    return max(SEPARATORS, key=score)


def _header(lines: Sequence[str], separator: str) -> list[str]:
    try:
        return next(csv.reader(lines, delimiter=separator), [])
    except csv.Error:
        return []
