"""Waking the relay up: best effort, coalesced, and never in anybody's way."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing

import psycopg
import pytest

from outbox.submission import rate_limit
from outbox.submission.rate_limit import BURST
from outbox.submission.wake_up import CHANNEL, NOTIFY, BlockingWakeUp, WakeUp, listen
from tests.support.network import proxy
from tests.support.network.proxy import Proxy
from tests.support.wait import wait_for

END_OTHERS = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


@pytest.fixture
def listener(database_url: str) -> Iterator[psycopg.Connection]:
    """A connection that listens as the relay does."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f"LISTEN {CHANNEL}")
        yield connection


@pytest.fixture
def postgres(database_url: str) -> Iterator[Proxy]:
    with proxy.before(database_url) as way:
        yield way


@asynccontextmanager
async def _wake_up(database_url: str) -> AsyncIterator[WakeUp]:
    opened = WakeUp(database_url)
    yield opened
    await opened.close()


def test_of_many_nudges_few_are_sent_and_the_last_that_asks_is_heard(
    database_url: str, listener: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def send() -> None:
        async with _wake_up(database_url) as opened:
            for _ in range(BURST):
                opened.send()
                await _hears(listener)
            for _ in range(100):
                opened.send()
            assert _heard(listener) == []
            await _hears(listener)

    monkeypatch.setattr(rate_limit, "INTERVAL_SECONDS", 2)
    asyncio.run(send())
    assert _heard(listener) == []


def test_what_is_asked_while_it_connects_is_sent_before_it_closes(
    database_url: str, listener: psycopg.Connection
) -> None:
    async def send() -> None:
        async with _wake_up(database_url) as opened:
            opened.send()
            await asyncio.sleep(0)  # it begins to connect
            opened.send()
        await _hears(listener)

    asyncio.run(send())
    assert _heard(listener) == []


def test_a_nudge_waits_while_postgres_has_not_answered_the_last_one(
    postgres: Proxy, database_url: str, listener: psycopg.Connection
) -> None:
    async def send() -> None:
        async with _wake_up(postgres.url(database_url)) as opened:
            opened.send()
            await _hears(listener)
            connection = opened._connection
            postgres.delay = 0.2
            for _ in range(2):
                opened.send()
                await _hears(listener)
            assert opened._connection is connection

    asyncio.run(send())
    assert _heard(listener) == []


def test_after_its_connection_broke_it_makes_another(
    database_url: str, listener: psycopg.Connection
) -> None:
    async def send() -> None:
        async with _wake_up(database_url) as opened:
            for _ in range(3):
                opened.send()
                await _hears(listener)
                listener.execute(END_OTHERS)
                await asyncio.to_thread(wait_for, "its end", lambda: opened._connection is None)

    asyncio.run(send())
    assert _heard(listener) == []


def test_a_nudge_that_finds_its_connection_broken_is_sent_over_another(
    database_url: str, listener: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def send() -> None:
        async with _wake_up(database_url) as opened:
            for _ in range(3):
                opened.send()
                await _hears(listener)
                await asyncio.to_thread(wait_for, "its rest", lambda: opened._interval is None)
                listener.execute(END_OTHERS)  # in the loop's thread, which notices nothing yet

    monkeypatch.setattr(rate_limit, "INTERVAL_SECONDS", 0.05)
    asyncio.run(send())
    assert _heard(listener) == []


async def _hears(listener: psycopg.Connection) -> None:
    """Until a wake-up arrives."""

    await asyncio.to_thread(_hear, listener, 1)


def test_with_postgres_away_a_nudge_fails_quietly() -> None:
    async def send() -> None:
        async with _wake_up("postgresql://127.0.0.1:1/duly") as opened:
            opened.send()
            assert opened._connecting
            await opened._connecting

    asyncio.run(send())


def test_plain_code_nudges_a_few_times_and_leaves_out_what_follows_at_once(
    database_url: str, listener: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limit, "INTERVAL_SECONDS", 60)
    with closing(BlockingWakeUp(database_url)) as plain:
        for _ in range(100):
            plain.send()
    _hear(listener, BURST)
    assert _heard(listener) == []


def test_plain_code_nudges_again_after_a_while_and_after_its_connection_broke(
    database_url: str, listener: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limit, "INTERVAL_SECONDS", 0)
    with closing(BlockingWakeUp(database_url)) as plain:
        plain.send()
        plain.send()
        _hear(listener, 2)
        listener.execute(END_OTHERS)
        plain.send()  # may find nothing of it, and be lost
        plain.send()
    _hear(listener, 1)


def test_plain_code_that_hears_of_its_connections_end_nudges_over_another(
    postgres: Proxy,
    database_url: str,
    listener: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As the answer to a wake-up that was in flight."""
    monkeypatch.setattr(rate_limit, "INTERVAL_SECONDS", 0)
    with closing(BlockingWakeUp(postgres.url(database_url))) as plain:
        plain.send()
        _hear(listener, 1)
        postgres.delay = 0.2
        listener.execute(END_OTHERS)
        plain.send()  # is lost
        plain.send()
        _hear(listener, 1)


def test_with_postgres_away_plain_code_is_told_nothing() -> None:
    with closing(BlockingWakeUp("postgresql://127.0.0.1:1/duly")) as plain:
        plain.send()


def test_plain_code_does_not_wait_for_the_answer_to_its_nudge(
    postgres: Proxy, database_url: str, listener: psycopg.Connection
) -> None:
    with closing(BlockingWakeUp(postgres.url(database_url))) as plain:
        plain.send()
        _hear(listener, 1)
        postgres.delay = 5
        plain.send()
        assert _heard(listener) == []


def test_plain_code_rests_from_when_it_nudged_and_not_from_the_answer(
    postgres: Proxy,
    database_url: str,
    listener: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A relay counts from when it hears: what is committed after its second poll wakes it again."""
    monkeypatch.setattr(rate_limit, "BURST", 1)
    monkeypatch.setattr(rate_limit, "INTERVAL_SECONDS", 0.3)
    with closing(BlockingWakeUp(postgres.url(database_url))) as plain:
        plain.send()
        postgres.delay = 0.4
        for _ in range(2):
            wait_for("its rest is over", lambda: time.monotonic() >= plain._next_at)
            plain.send()
        plain.send()  # after one that waited for the answer to the one before
        _hear(listener, 4)


def test_a_listener_hears_each_nudge_and_ends_with_its_connection(
    database_url: str, listener: psycopg.Connection
) -> None:
    async def hear() -> None:
        heard: asyncio.Queue[None] = asyncio.Queue()
        listening = asyncio.create_task(listen(database_url, lambda: heard.put_nowait(None)))
        await heard.get()  # what it may have missed
        for _ in range(3):
            listener.execute(NOTIFY)
            await asyncio.wait_for(heard.get(), 10)
        listener.execute(END_OTHERS)
        with pytest.raises(psycopg.OperationalError):
            await asyncio.wait_for(listening, 10)

    asyncio.run(hear())


def _hear(listener: psycopg.Connection, count: int) -> None:
    """Until so many wake-ups have arrived."""
    assert len(list(listener.notifies(timeout=10, stop_after=count))) == count


def _heard(listener: psycopg.Connection) -> list[psycopg.Notify]:
    listener.execute(f"NOTIFY {CHANNEL}, 'end'")
    heard = []
    for notification in listener.notifies(timeout=10):
        if notification.payload == "end":
            break
        heard.append(notification)
    return heard
