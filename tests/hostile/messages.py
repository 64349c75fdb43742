"""Messages that are none of Duly's, of every sort that a queue may meet."""

import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any
from uuid import UUID

from outbox.amqp import messages
from outbox.amqp.messages import Dispatch
from tests.hostile.deeds import GOOD, QUEUE

MEGABYTE = 1_000_000
SIGNATURE = "sent by somebody else"
"""In some of them; logs must not quote it."""


def foreign(random: Random, count: int) -> Iterator[bytes]:
    """So many messages, in any order; the same for the same random."""
    for _ in range(count):
        yield random.choice(SORTS)(random)


def uuid(random: Random) -> UUID:
    """Any job's id."""
    return UUID(int=random.getrandbits(128), version=4)


def of_job(random: Random, **changes: Any) -> bytes:
    """A message like Duly's own, of a job that does not exist, but for the changes."""
    dispatch = Dispatch(str(uuid(random)), 1, GOOD.name, QUEUE)
    fields = json.loads(messages.encode(dispatch)) | changes
    return json.dumps(fields).encode()


def random_bytes(random: Random) -> bytes:
    """Nothing that anybody wrote."""
    return random.randbytes(random.randrange(2000))


def json_value(random: Random) -> bytes:
    """JSON, but no object."""
    return random.choice(
        [b"null", b"true", b"0", b"1e999", b"NaN", b'""', b"[]", b"[[]]", b'"\\ud800"']
    )


def json_object(random: Random) -> bytes:
    """An object with some of a message's keys, or all of them with odd values."""
    odd: list[Any] = [None, 0, "", [], {}, "x" * 100, {"a": [1]}]
    keys = random.sample(sorted(messages.KEYS), random.randint(0, len(messages.KEYS)))
    return json.dumps({key: random.choice(odd) for key in keys}).encode()


def deep(random: Random) -> bytes:
    """Nested deeper than any parser likes."""
    return random.choice([b"[", b'{"a":']) * random.randrange(1000, 50_000)


def of_another_app(random: Random) -> bytes:
    """What Dramatiq writes for an actor of somebody else."""
    return of_job(random, actor_name="resize", args=[random.random(), "a.png"], kwargs={"to": 7})


def delayed(random: Random) -> bytes:
    """With an `eta`, which Dramatiq would hold in memory until then."""
    return of_job(random, options={"eta": 2**40 + random.getrandbits(30)})


def of_another_queue(random: Random) -> bytes:
    """One that Dramatiq's worker thread would die of."""
    return of_job(random, queue_name=random.choice(["default", "", f"{QUEUE}.DQ", 7]))


def of_no_dispatch(random: Random) -> bytes:
    """Of a job, but with a dispatch that cannot be."""
    number = random.choice([0, -1, 2**31, 2**70, 1.5, True, None, "1"])
    return of_job(random, args=[str(uuid(random)), number])


def of_no_name(random: Random) -> bytes:
    """Of a kind whose name Postgres cannot keep."""
    return of_job(random, actor_name=random.choice(["nul \0", "\ud800", "\n", 7, None]))


def huge(random: Random) -> bytes:
    """No JSON, of a megabyte once in a while."""
    return SIGNATURE.encode() + random.randbytes(MEGABYTE if random.random() < 0.01 else 1000)


SORTS: list[Callable[[Random], bytes]] = [
    random_bytes,
    json_value,
    json_object,
    deep,
    of_another_app,
    delayed,
    of_another_queue,
    of_no_dispatch,
    of_no_name,
    huge,
]
