"""What a system itself still knows at the end: which orders are dead, which are unfinished."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, LiteralString

import psycopg
from pika.exceptions import ChannelClosedByBroker, ConnectionClosedByBroker

from dev.say import Failure, say
from tests.chaos.batches import Settled
from tests.chaos.terms import BEATS
from tests.chaos.ticks import Beat, Tick
from tests.support.engine.rabbit import Rabbit

TRIES = 20
KEY = re.compile(rb"order-\d+")
DEAD = """
SELECT payload->>'key' FROM duly.jobs
WHERE state = 'dead' AND id IN (SELECT job_id FROM duly.dead_letters)
"""
UNFINISHED = "SELECT payload->>'key' FROM duly.jobs WHERE state IN ('queued', 'running')"
CANCELLED = "SELECT payload->>'key' FROM duly.jobs WHERE state = 'cancelled'"
INTERRUPTED = f"{CANCELLED} AND attempt > 0"
RESUMED = """
SELECT payload->>'key' FROM duly.jobs
WHERE kind LIKE 'order.steps%' AND checkpoint IS NOT NULL AND attempt > 1
"""
RECEIVED = """
SELECT payload->>'key', count(*) FROM duly.jobs WHERE submitted_by LIKE 'queue:%' GROUP BY 1
"""
PAUSES = "SELECT count(*) FROM duly.acts WHERE act = 'queue-pause'"
BATCHES = """
SELECT subject, outcome, generation,
       (SELECT count(*) FROM duly.dead_letters AS letter JOIN duly.jobs AS job
        ON job.id = letter.job_id WHERE job.batch_id = batch.id),
       (SELECT coalesce(jsonb_object_agg(payload->>'name', state), '{}')
        FROM duly.jobs WHERE batch_id = batch.id)
FROM duly.batches AS batch
"""
SCHEDULES = "SELECT name, created_at, paused_at FROM duly.schedules"
TICKS = """
SELECT due_at, outcome, why, job_id::text, state
FROM duly.ticks LEFT JOIN duly.jobs ON jobs.id = job_id WHERE schedule = %s
"""


@dataclass(frozen=True, slots=True)
class Remains:
    """Orders by their keys, batches by those of their orders, and schedules."""

    dead: set[str] = field(default_factory=set)
    unfinished: set[str] = field(default_factory=set)
    cancelled: set[str] = field(default_factory=set)
    interrupted: set[str] = field(default_factory=set)
    """Those of the cancelled ones that had begun."""
    resumed: set[str] = field(default_factory=set)
    """Those that took steps, in more than one attempt."""
    batches: Mapping[str, Settled] = field(default_factory=dict)
    beats: Sequence[Beat] = ()
    received: Mapping[str, int] = field(default_factory=dict)
    """How many jobs were made of each foreign message."""
    pauses: int = 0
    """How often a queue was paused."""


Look = Callable[[str, str], Remains]
"""Looks at a system that has stopped; takes its database_url and amqp_url."""


def nothing(_database_url: str, _amqp_url: str) -> Remains:
    """For a system that keeps no record."""
    return Remains()


def in_duly(database_url: str, _amqp_url: str) -> Remains:
    """What Duly tells its operators."""
    with psycopg.connect(database_url) as database:

        def keys(query: LiteralString) -> set[str]:
            return {key for (key,) in database.execute(query)}

        batches = {key: Settled(*values) for key, *values in database.execute(BATCHES)}
        return Remains(
            dead=keys(DEAD),
            unfinished=keys(UNFINISHED),
            cancelled=keys(CANCELLED),
            interrupted=keys(INTERRUPTED),
            resumed=keys(RESUMED),
            batches=batches,
            beats=_beats(database),
            received=dict(database.execute(RECEIVED).fetchall()),
            pauses=sum(count for (count,) in database.execute(PAUSES)),
        )


def _beats(database: "psycopg.Connection[tuple[Any, ...]]") -> list[Beat]:
    """All schedules that there have to be."""
    found = {name: times for name, *times in database.execute(SCHEDULES)}
    beats = []
    for name, seconds in BEATS.items():
        since, until = found.get(name, (None, None))
        ticks = [Tick(*values) for values in database.execute(TICKS, [name])]
        beats.append(Beat(name, seconds, since, until, ticks, name == "beat.every"))
    return beats


def in_queues(dead: str, *unfinished: str) -> Look:
    """For a system whose only record are its messages: takes them all out of these queues."""

    def look(_database_url: str, amqp_url: str) -> Remains:
        return Remains(_keys(amqp_url, [dead]), _keys(amqp_url, unfinished))

    return look


def _keys(amqp_url: str, queues: Iterable[str]) -> set[str]:
    bodies = [body for queue in queues for body in _take(amqp_url, queue)]
    return {key.decode() for body in bodies for key in KEY.findall(body)}


def _take(amqp_url: str, queue: str) -> list[bytes]:
    """All messages of the queue, if there is one; after a storm it may need a while to answer."""
    bodies: list[bytes] = []
    for _ in range(TRIES):
        try:
            rabbit = Rabbit(amqp_url)
            while body := rabbit.take(queue, most=1):
                bodies += body
        except ChannelClosedByBroker:  # nobody has ever made it
            return []
        except ConnectionClosedByBroker as error:
            say(f"{queue}: {error}")
        else:
            rabbit.close()
            return bodies
    raise Failure(f"{queue} does not answer")
