"""Messages: Dramatiq's JSON, which refers to a job and carries nothing of its payload."""

import json
import re
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

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
        fields = json.loads(body)
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
