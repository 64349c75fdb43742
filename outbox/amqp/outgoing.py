"""Messages to other services, as the relay sends them."""

import struct
from functools import lru_cache
from typing import Any, NamedTuple

import pika
from pika import frame, spec

from outbox.amqp.messages import BASIC, BODY, END, FRAME, HEADER

CONTENT = struct.Struct(">HHQ")
AROUND = FRAME.size + len(END)


class Outgoing(NamedTuple):
    """A message for an exchange; its properties are encoded, for the relay only passes them on."""

    id: str
    exchange: str
    routing_key: str
    properties: bytes
    body: bytes

    @property
    def message_id(self) -> str:
        """The same each time it is published."""
        return self.id


def encode(**properties: Any) -> bytes:
    """AMQP's encoding of properties. Headers are texts, whole numbers and booleans."""
    given = pika.BasicProperties(**properties)  # type: ignore[no-untyped-call]
    return b"".join(given.encode())  # type: ignore[no-untyped-call]


def decode(properties: bytes) -> dict[str, Any]:
    """The properties that `encode` was given, by name."""
    found = pika.BasicProperties().decode(properties)  # type: ignore[no-untyped-call]
    return {name: value for name, value in vars(found).items() if value is not None}


def frames(channel: int, message: Outgoing, largest_frame: int) -> bytes:
    """A mandatory message to an exchange; a body larger than a frame takes several."""
    _, exchange, routing_key, properties, body = message
    header = CONTENT.pack(BASIC, 0, len(body)) + properties
    pieces = [_publish(channel, exchange, routing_key), _frame(HEADER, channel, header)]
    step = largest_frame - AROUND
    starts = range(0, len(body), step)
    pieces += (_frame(BODY, channel, body[start : start + step]) for start in starts)
    return b"".join(pieces)


def _frame(kind: int, channel: int, content: bytes) -> bytes:
    return FRAME.pack(kind, channel, len(content)) + content + END


@lru_cache(1000)
def _publish(channel: int, exchange: str, routing_key: str) -> bytes:
    method = spec.Basic.Publish(exchange=exchange, routing_key=routing_key, mandatory=True)  # type: ignore[no-untyped-call]
    published: bytes = frame.Method(channel, method).marshal()
    return published
