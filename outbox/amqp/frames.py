"""Encodes a message as AMQP 0-9-1 frames, to be sent in one piece.

pika makes three objects for each message and writes three times: that was the relay's limit. The
bytes here are the same as pika's (a test compares them), in the layout of the protocol's
specification, sections 2.3.5 and 4.2.6.
"""

import struct
from functools import lru_cache

from pika import frame, spec

from outbox.amqp import messages
from outbox.amqp.messages import Dispatch
from outbox.amqp.outgoing import Outgoing

FRAME = struct.Struct(">BHI")
HEADER, BODY = 2, 3
END = b"\xce"
PROPERTIES = struct.Struct(">HHQH")
CONTENT = struct.Struct(">HHQ")
AROUND = FRAME.size + len(END)
BASIC = 60
CONTENT_TYPE, DELIVERY_MODE, MESSAGE_ID = 1 << 15, 1 << 12, 1 << 7
JSON = b"\x10application/json"
PERSISTENT = b"\x02"


def message(channel: int, dispatch: Dispatch) -> bytes:
    """A mandatory, persistent message to the dispatch's queue."""
    body, message_id = messages.encode(dispatch), dispatch.message_id.encode()
    before_id, before_body = _around(channel, dispatch.queue, len(message_id), len(body))
    return b"".join((before_id, message_id, before_body, body, END))


@lru_cache
def _around(channel: int, queue: str, id_length: int, body_length: int) -> tuple[bytes, bytes]:
    """The bytes before the message id, and those between it and the body. They seldom differ."""
    flags = CONTENT_TYPE | DELIVERY_MODE | MESSAGE_ID
    properties = (
        PROPERTIES.pack(BASIC, 0, body_length, flags) + JSON + PERSISTENT + bytes([id_length])
    )
    header = FRAME.pack(HEADER, channel, len(properties) + id_length)
    publish = _publish(channel, "", queue)
    return publish + header + properties, END + FRAME.pack(BODY, channel, body_length)


def outgoing(channel: int, message: Outgoing, largest_frame: int) -> bytes:
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
