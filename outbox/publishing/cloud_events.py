"""The attributes of CloudEvents 1.0 in AMQP's headers: its binary content mode."""

from datetime import UTC, datetime
from uuid import UUID

VERSION = "1.0"
PREFIX = "cloudEvents:"
PREFIXES = (PREFIX, "cloudEvents_")
"""Headers that hold attributes; other senders may use the second, which JMS can read."""
LONGEST = 1000
"""Characters of an attribute."""


def headers(
    id_: UUID, *, type_: str, source: str, subject: str | None, time: datetime | None
) -> dict[str, str]:
    """The headers. Raises ValueError for attributes that CloudEvents does not allow."""
    if time is not None and time.utcoffset() is None:
        raise ValueError("time needs a time zone")
    attributes = {
        "specversion": VERSION,
        "id": str(id_),
        "type": _text("type", type_),
        "source": _text("source", source),
        "time": (time or datetime.now(UTC)).isoformat(),
    }
    if subject is not None:
        attributes["subject"] = _text("subject", subject)
    return {PREFIX + name: value for name, value in attributes.items()}


def _text(name: str, value: str) -> str:
    if not (value.isprintable() and 0 < len(value) <= LONGEST):
        raise ValueError(f"{name}: one line of 1 to {LONGEST} characters")
    return value
