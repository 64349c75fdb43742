"""What a system itself still knows at the end: which orders are dead, which are unfinished."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import psycopg
from pika.exceptions import ChannelClosedByBroker, ConnectionClosedByBroker

from dev.say import Failure, say
from tests.support.engine.rabbit import Rabbit

TRIES = 20
KEY = re.compile(rb"order-\d+")
DEAD = """
SELECT payload->>'key' FROM duly.jobs
WHERE state = 'dead' AND id IN (SELECT job_id FROM duly.dead_letters)
"""
UNFINISHED = "SELECT payload->>'key' FROM duly.jobs WHERE state IN ('queued', 'running')"


@dataclass(frozen=True, slots=True)
class Remains:
    """Orders by their keys."""

    dead: set[str] = field(default_factory=set)
    unfinished: set[str] = field(default_factory=set)


Look = Callable[[str, str], Remains]
"""Looks at a system that has stopped; takes its database_url and amqp_url."""


def nothing(_database_url: str, _amqp_url: str) -> Remains:
    """For a system that keeps no record."""
    return Remains()


def in_duly(database_url: str, _amqp_url: str) -> Remains:
    """What Duly tells its operators."""
    with psycopg.connect(database_url) as database:
        dead, unfinished = (
            {key for (key,) in database.execute(query)} for query in (DEAD, UNFINISHED)
        )
    return Remains(dead, unfinished)


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
