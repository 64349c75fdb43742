"""Nudging the relay: best effort, coalesced, and never in anybody's way."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import psycopg
import pytest

from outbox.nudge import CHANNEL, Nudge


@pytest.fixture
def listener(database_url: str) -> Iterator[psycopg.Connection]:
    """A connection that listens as the relay does."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f"LISTEN {CHANNEL}")
        yield connection


@asynccontextmanager
async def _nudge(database_url: str) -> AsyncIterator[Nudge]:
    nudge = Nudge(database_url)
    yield nudge
    await nudge.close()


def test_many_nudges_at_once_are_one_and_a_later_one_is_heard(
    database_url: str, listener: psycopg.Connection
) -> None:
    async def send() -> None:
        async with _nudge(database_url) as nudge:
            await asyncio.gather(*(nudge.send() for _ in range(100)))
            await asyncio.sleep(0)  # the first is on its way
            await nudge.send()

    asyncio.run(send())

    assert len(_heard(listener)) == 2


def test_after_its_connection_broke_a_later_nudge_arrives(
    database_url: str, listener: psycopg.Connection
) -> None:
    async def send() -> None:
        async with _nudge(database_url) as nudge:
            for _ in range(2):
                await _send(nudge)
                listener.execute(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
                await _send(nudge)

    asyncio.run(send())

    # The second and the fourth found the connection broken, and were lost.
    assert len(_heard(listener)) == 2


async def _send(nudge: Nudge) -> None:
    """And wait until it was sent or lost."""
    await nudge.send()
    assert nudge._sending
    await nudge._sending


def test_with_postgres_away_a_nudge_fails_quietly() -> None:
    async def send() -> None:
        async with _nudge("postgresql://127.0.0.1:1/duly") as nudge:
            await nudge.send()

    asyncio.run(send())


def _heard(listener: psycopg.Connection) -> list[psycopg.Notify]:
    listener.execute(f"NOTIFY {CHANNEL}, 'end'")
    heard = []
    for notification in listener.notifies(timeout=10):
        if notification.payload == "end":
            break
        heard.append(notification)
    return heard
