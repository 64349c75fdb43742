"""What a check has found."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    """Duly works, but slower, less safely or not for long."""
    ERROR = "error"
    """Something does not work, or a promise is not kept."""
    SKIPPED = "skipped"
    """It could not be looked at; the finding says why."""


@dataclass(frozen=True, slots=True)
class Found:
    """How something is, and what to change if it should be otherwise."""

    level: Level
    found: str
    change: str | None = None
    """The setting, the SQL or the command; several steps are separated by `; `."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The same, with the check that found it and the page that explains it."""

    check: str
    level: Level
    found: str
    change: str | None
    docs: str
    """A page of the docs, with its heading."""


class Skip(Exception):
    """Raised by a check that cannot look; the text says why."""


def ok(found: str) -> Found:
    """Nothing is to be changed."""
    return Found(Level.OK, found)


def warning(found: str, change: str) -> Found:
    """Duly works, but this should be changed."""
    return Found(Level.WARNING, found, change)


def error(found: str, change: str) -> Found:
    """Something does not work, or a promise is not kept, until this is changed."""
    return Found(Level.ERROR, found, change)
