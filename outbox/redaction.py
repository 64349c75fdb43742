"""Keeps sensitive payload fields out of what people and logs see."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from outbox.kinds import Kind

HIDDEN = "[redacted]"
BROKERS_OWN = ("x-death", "x-delivery-count", "x-acquired-count")
DEATHS = ("x-first-death-", "x-last-death-")
"""Headers that RabbitMQ writes, and beginnings of their names."""
LONGEST_TEXT = 1_000_000
SHORTEST_SECRET = 4
"""Shorter values are left in error texts: hiding every "no" would make the text unreadable."""


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


def scrub(text: str, kind: Kind[..., Any], payload: Mapping[str, Any]) -> str:
    """An error's text without the sensitive values that it quotes, as such or escaped.

    Of an endless text only the beginning: it would keep the whole process busy.
    """
    secrets = {s for name in kind.sensitive for s in _strings(payload.get(name))}
    quotes = sorted({q for s in secrets for q in _quotes(s)}, key=len, reverse=True)
    end = LONGEST_TEXT + len(quotes[0] if quotes else "")
    scrubbed = text[:end]
    for quote in quotes:  # mail servers, for one, answer with another case
        scrubbed = re.sub(re.escape(quote), HIDDEN, scrubbed, flags=re.IGNORECASE)
    # Where it was cut, the last characters may be half of a secret.
    return scrubbed if len(text) <= end else scrubbed[: LONGEST_TEXT - end or None]


def _quotes(secret: str) -> tuple[str, str, str]:
    """The text itself, and as `repr` and JSON write it."""
    return secret, repr(secret)[1:-1], json.dumps(secret)[1:-1]


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        if len(str(value)) >= SHORTEST_SECRET:
            yield str(value)
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _strings(name)
            yield from _strings(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _strings(inner)
