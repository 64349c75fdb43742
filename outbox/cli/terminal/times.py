"""Moments and durations as people type them."""

import re
from datetime import UTC, datetime, timedelta

import typer

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
LATEST_YEAR = 2200


def duration(text: str) -> timedelta:
    """`90s`, `15m`, `2h`, `3d` or `1w`. Raises typer.BadParameter."""
    found = re.fullmatch(r"(\d{1,6})([smhdw])", text, re.ASCII)
    if not found:
        raise typer.BadParameter(f"{text!r} is no duration such as 15m, 2h or 3d")
    return timedelta(**{UNITS[found[2]]: int(found[1])})


def moment(text: str) -> datetime:
    """An ISO 8601 moment with its time zone. Raises typer.BadParameter."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no moment such as 2026-01-31T09:00:00Z") from None
    if parsed.tzinfo is None:
        raise typer.BadParameter(f"{text!r} needs a time zone, such as {text}Z")
    if not 1970 <= parsed.year < LATEST_YEAR:
        raise typer.BadParameter(f"{text!r} is not between the years 1970 and {LATEST_YEAR}")
    return parsed


def since(text: str) -> datetime:
    """A moment, or so long ago: `2h` is two hours before now. Raises typer.BadParameter."""
    if re.fullmatch(r"\d+[a-z]", text):
        return datetime.now(UTC) - duration(text)
    return moment(text)
