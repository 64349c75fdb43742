"""Values as text: for people, and as JSON for programs."""

import json
from base64 import b64encode
from datetime import UTC, datetime

from rich.text import Text

from outbox.values.printable import plain

STATES = {
    "succeeded": "green",
    "running": "cyan",
    "scheduled": "blue",
    "dead": "bold red",
    "cancelled": "dim",
}
"""The styles of states."""


def as_text(value: object) -> str:
    """The value for people. Its control characters are not yet written out."""
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"
    return as_json(value).strip('"')


def first_line(value: object) -> Text:
    """The first line of the value, in the style of a state if it is one."""
    line = as_text(value).partition("\n")[0]
    return Text(plain(line), style=STATES.get(line, ""))


def as_json(value: object, indent: int | None = None) -> str:
    """The value as JSON: moments as ISO 8601, bytes in base64, anything else as text."""
    return json.dumps(value, default=_encode, indent=indent)


def _encode(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, bytes):
        return b64encode(value).decode()
    return str(value)
