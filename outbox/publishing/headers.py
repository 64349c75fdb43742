"""Checks names and headers of messages to other services, before RabbitMQ would refuse them."""

from collections.abc import Mapping

from outbox.publishing import cloud_events
from outbox.publishing.tracing import TRACEPARENT, TRACESTATE

LONGEST_NAME = 255
"""Bytes of the name of an exchange, of a routing key, of a header's name: AMQP's limit."""
LARGEST_HEADERS = 32_000
"""Bytes of all properties: with the method, they have to fit into one of RabbitMQ's frames."""
OURS = {TRACEPARENT, TRACESTATE}
ROUTING = {"CC", "BCC"}
"""Headers by which RabbitMQ routes a message to more than its routing key."""

Headers = Mapping[str, str | int | bool]


def name(what: str, text: str) -> str:
    """The text. Raises ValueError if no exchange or routing key can be called so."""
    if not text.isprintable() or len(text.encode()) > LONGEST_NAME:
        raise ValueError(f"{what}: one line of at most {LONGEST_NAME} bytes, not {text[:50]!r}")
    return text


def checked(headers: Headers) -> dict[str, str | int | bool]:
    """The headers. Raises ValueError for a name that is not theirs to use, and for their values."""
    for header, value in headers.items():
        _check_name(header)
        if not isinstance(value, str | int):
            kind = type(value).__name__
            raise ValueError(f"header {header}: a str, an int or a bool, not {kind}")  # noqa: TRY004 - as for all else that is wrong
        if not isinstance(value, str) and not -(2**63) <= value < 2**63:
            raise ValueError(f"header {header}: a number has 64 bits at most")
        if isinstance(value, str) and not _is_unicode(value):
            raise ValueError(f"header {header}: it has a lone surrogate")
    return dict(headers)


def _check_name(header: str) -> None:
    if not header or not header.isprintable() or len(header.encode()) > LONGEST_NAME:
        raise ValueError(f"a header's name is one line of 1 to {LONGEST_NAME} bytes")
    if header in OURS or header.startswith(cloud_events.PREFIXES):
        raise ValueError(f"header {header}: `publish` writes it")
    if header in ROUTING:
        raise ValueError(f"header {header}: it would route the message to other queues, too")


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in text)
