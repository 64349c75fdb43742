"""Hides sensitive fields of payloads, results and headers. For texts, see scrub.py."""

from collections.abc import Mapping
from typing import Any

from outbox.kinds import Kind

HIDDEN = "[redacted]"
RABBITMQ_HEADERS = ("x-death", "x-delivery-count", "x-acquired-count")
DEATH_PREFIXES = ("x-first-death-", "x-last-death-")
"""Names, and beginnings of names, of the headers that RabbitMQ writes."""


def redact(kind: Kind[..., Any] | None, payload: Mapping[str, Any]) -> dict[str, Any]:
    """The payload with its sensitive fields hidden, or all of them if the kind is unknown."""
    return {
        name: HIDDEN if kind is None or name in kind.sensitive else value
        for name, value in payload.items()
    }


def redact_result(kind: Kind[..., Any] | None, result: Any) -> Any:
    """The result with each value hidden, at any depth, that has the name of a sensitive field.

    All of it is hidden if the kind is unknown.
    """
    if kind is None:
        return None if result is None else HIDDEN
    if isinstance(result, Mapping):
        return {
            name: HIDDEN if name in kind.sensitive else redact_result(kind, inner)
            for name, inner in result.items()
        }
    if isinstance(result, list):
        return [redact_result(kind, inner) for inner in result]
    return result


def redact_headers(headers: Any, *, foreign: bool) -> Any:
    """The headers of a dead-lettered message without their values.

    Values that RabbitMQ writes stay, unless the message is foreign: then everything is hidden.
    """
    if foreign or not isinstance(headers, Mapping):
        return HIDDEN if headers else headers
    return {
        name: value if name in RABBITMQ_HEADERS or name.startswith(DEATH_PREFIXES) else HIDDEN
        for name, value in headers.items()
    }
