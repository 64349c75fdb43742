"""Messages: Dramatiq's JSON, which refers to a job and carries nothing of its payload."""

import json
import re
import struct
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from pika import frame, spec

from outbox.amqp import topology
from outbox.kinds import LONGEST_NAME

LARGEST_DISPATCH = 2**31 - 1
"""The largest `integer` of Postgres, the type of a dispatch number."""

UUID_TEXT = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

KEYS = {
    "queue_name",
    "actor_name",
    "args",
    "kwargs",
    "options",
    "message_id",
    "message_timestamp",
}

FRAME = struct.Struct(">BHI")
HEADER, BODY = 2, 3
END = b"\xce"
PROPERTIES = struct.Struct(">HHQH")
BASIC = 60
CONTENT_TYPE, DELIVERY_MODE, MESSAGE_ID = 1 << 15, 1 << 12, 1 << 7
JSON = b"\x10application/json"
PERSISTENT = b"\x02"


class Dispatch(NamedTuple):
    """One publication of a job: what an outbox event asks for and a message carries.

    Relays make very many, so it is a tuple and the id is text: a UUID costs more than the rest.
    """

    job_id: str
    dispatch: int
    kind: str
    queue: str

    @property
    def message_id(self) -> str:
        """The same each time this dispatch is published."""
        return f"{self.job_id}.{self.dispatch}"


class Malformed(Exception):
    """The message is not one of Duly's; the text says why, and quotes nothing of it."""


def frames(channel: int, dispatch: Dispatch) -> bytes:
    """A mandatory, persistent message to the dispatch's queue, as AMQP 0-9-1 frames in one piece.

    pika makes three objects for each message and writes three times: that was the relay's limit.
    The bytes here are the same as pika's (a test compares them), in the layout of the protocol's
    specification, sections 2.3.5 and 4.2.6.
    """
    body, message_id = encode(dispatch), dispatch.message_id.encode()
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
    method = spec.Basic.Publish(routing_key=queue, mandatory=True)  # type: ignore[no-untyped-call]
    publish: bytes = frame.Method(channel, method).marshal()
    return publish + header + properties, END + FRAME.pack(BODY, channel, body_length)


def encode(dispatch: Dispatch) -> bytes:
    """The message's body. Dramatiq refuses one with an extra or a missing key."""
    job_id, number, kind, queue = dispatch
    return (
        f'{_head(queue, kind)},"args":["{job_id}",{number}],"kwargs":{{}},'
        f'"options":{{}},"message_id":"{job_id}.{number}",'
        f'"message_timestamp":{time.time_ns() // 1_000_000}}}'
    ).encode()


@lru_cache
def _head(queue: str, kind: str) -> str:
    """The part that all messages of a kind share; nothing else needs escaping."""
    return json.dumps({"queue_name": queue, "actor_name": kind}, separators=(",", ":"))[:-1]


@lru_cache
def flaw(kind: str, queue: str) -> str | None:
    """Why no worker could take a message of the kind from the queue; None if one could."""
    if not topology.is_name(queue):
        return "no queue of RabbitMQ can have the name of its queue"
    if not _is_kind(kind):
        return "the name of its kind is too long, or not printable"
    return None


def decode(body: bytes, queue: str) -> Dispatch:
    """The dispatch that a message from `queue` asks for. Raises Malformed."""
    try:
        fields = json.loads(body.decode())  # bytes would have json guess their encoding
    except (ValueError, RecursionError):
        raise Malformed("it is not JSON") from None
    if not isinstance(fields, dict):
        raise Malformed("it is not a JSON object")
    return parse(fields, queue)


def parse(fields: Mapping[str, Any], queue: str) -> Dispatch:
    """The dispatch that a decoded message from `queue` asks for. Raises Malformed.

    It is strict because Dramatiq would refuse a message with an extra or a missing key, kill its
    worker thread over one that names another queue, hold one with the option `eta` in memory, and
    pass any `kwargs` to the actor.
    """
    if fields.keys() != KEYS:
        raise Malformed("its keys are not those of a job's message")
    if fields.get("queue_name") != queue:
        raise Malformed("its queue_name is not the queue that it came from")
    if fields.get("kwargs") != {} or fields.get("options") != {}:
        raise Malformed("it has kwargs or options, and a job's message has none")
    match fields:
        case {"actor_name": str(kind), "message_id": str(), "args": [str(job_id), int(dispatch)]}:
            return Dispatch(_uuid(job_id), _dispatch(dispatch), _kind(kind), queue)
    raise Malformed("its args are not a job's id and dispatch")


def _uuid(text: str) -> str:
    if not UUID_TEXT.fullmatch(text):
        raise Malformed("its job id is no UUID")
    return text


def _is_kind(name: str) -> bool:
    # Postgres cannot store NUL and lone surrogates, which are not printable.
    return name.isprintable() and len(name) <= LONGEST_NAME


def _kind(name: str) -> str:
    if not _is_kind(name):
        raise Malformed("its actor_name is not the name of a kind")
    return name


def _dispatch(number: int) -> int:
    if isinstance(number, bool) or not 0 < number <= LARGEST_DISPATCH:
        raise Malformed("its dispatch is out of range")
    return number
