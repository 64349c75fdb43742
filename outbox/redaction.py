"""Keeps sensitive fields out of what people see; in texts, see outbox/scrub.py."""

from collections.abc import Mapping
from typing import Any

from outbox.kinds import Kind

HIDDEN = "[redacted]"
BROKERS_OWN = ("x-death", "x-delivery-count", "x-acquired-count")
DEATHS = ("x-first-death-", "x-last-death-")
"""Headers that RabbitMQ writes, and beginnings of their names."""


def redact(kind: Kind[..., Any] | None, payload: Mapping[str, Any]) -> dict[str, Any]:
    """The payload with its sensitive fields hidden; all of them where the kind is unknown."""
    return {
        name: HIDDEN if kind is None or name in kind.sensitive else value
        for name, value in payload.items()
    }


def redact_result(kind: Kind[..., Any] | None, result: Any) -> Any:
    """The result without what its kind's sensitive fields are called, at any depth.

    All of it is hidden where the kind is unknown.
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
    """The headers of a dead message. What RabbitMQ writes stays, unless the message is foreign."""
    if foreign or not isinstance(headers, Mapping):
        return HIDDEN if headers else headers
    return {
        name: value if name in BROKERS_OWN or name.startswith(DEATHS) else HIDDEN
        for name, value in headers.items()
    }
