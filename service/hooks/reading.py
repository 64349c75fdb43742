"""Reads what the service needs of an event: its id, its type, and when it happened."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from outbox.http.problems import types
from outbox.http.problems.problem import Problem, field_error, invalid
from service.hooks.jobs_of_events import STRIPE

LONGEST_NAME = 255
"""Characters in an event's id, and in its type."""


@dataclass(frozen=True, slots=True)
class Event:
    """An event whose signature is valid."""

    source: str
    event_id: str
    body: bytes = field(repr=False)
    content: Mapping[str, Any] = field(repr=False)
    """The body as JSON; empty if it is no JSON object."""

    @property
    def type(self) -> str | None:
        """What happened; None if the event names nothing that can be stored."""
        return _name(self.content.get("type"))

    @property
    def created_at(self) -> datetime | None:
        """When it happened, as the source says."""
        if self.source == STRIPE:
            return _from_seconds(self.content.get("created"))
        return _from_text(self.content.get("timestamp"))


def stripe_event(body: bytes) -> Event:
    """The event. Raises `Problem` if it has no id: by that it is known when it comes again."""
    content = content_of(body)
    if not content:
        raise Problem(types.MALFORMED, "the body is no JSON object")
    event_id = _name(content.get("id"))
    if event_id is None:
        raise invalid([field_error(["id"], _RULE)])
    return Event(STRIPE, event_id, body, content)


def standard_event(source: str, event_id: str, body: bytes) -> Event:
    """The event of the id in its headers, whatever its body is. Raises `Problem` for a bad id."""
    if _name(event_id) is None:
        raise invalid([field_error(["webhook-id"], _RULE)])
    return Event(source, event_id, body, content_of(body))


def content_of(body: bytes) -> Mapping[str, Any]:
    """The JSON object in the body; empty if it is anything else.

    Less strict than for the API's clients: who sends this cannot correct it.
    """
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


_RULE = f"must be 1 to {LONGEST_NAME} printable characters"


def _name(value: object) -> str | None:
    if isinstance(value, str) and 0 < len(value) <= LONGEST_NAME and value.isprintable():
        return value
    return None


def _from_seconds(value: object) -> datetime | None:
    if not isinstance(value, int):
        return None
    try:
        return _likely(datetime.fromtimestamp(value, UTC))
    except (ValueError, OverflowError, OSError):
        return None


def _from_text(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return _likely(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _likely(moment: datetime) -> datetime | None:
    return moment if 1970 < moment.year < 2200 else None
