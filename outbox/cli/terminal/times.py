"""Times and durations as people type them."""

import re
from datetime import UTC, datetime, timedelta

import typer

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
FIRST_YEAR = 1970
LAST_YEAR = 2199


def duration(text: str) -> timedelta:
    """`90s`, `15m`, `2h`, `3d` or `1w`. Raises typer.BadParameter."""
    found = re.fullmatch(r"(\d{1,6})([smhdw])", text, re.ASCII)
    if not found:
        raise typer.BadParameter(f"{text!r} is not a duration such as 15m, 2h or 3d")
    return timedelta(**{UNITS[found[2]]: int(found[1])})


def moment(text: str) -> datetime:
    """An ISO 8601 time with a time zone. Raises typer.BadParameter."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a time such as 2026-01-31T09:00:00Z") from None
    if parsed.tzinfo is None:
        raise typer.BadParameter(f"{text!r} needs a time zone, such as {text}Z")
    if not FIRST_YEAR <= parsed.year <= LAST_YEAR:
        raise typer.BadParameter(f"{text!r} is not in the years {FIRST_YEAR} to {LAST_YEAR}")
    return parsed


def since(text: str) -> datetime:
    """A time, or an age: `2h` is two hours ago. Raises typer.BadParameter."""
    if re.fullmatch(r"\d+[a-z]", text):
        return datetime.now(UTC) - duration(text)
    if not text[:1].isdigit():
        raise typer.BadParameter(f"{text!r} is neither a time nor an age such as 2h or 3d")
    return moment(text)
