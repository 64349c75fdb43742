"""Waking the relay up: best effort, coalesced, and never in anybody's way."""

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from outbox import submit
from outbox.postgres.address import sqlalchemy_url
from outbox.submission import rate_limit
from outbox.submission.rate_limit import BURST
from outbox.submission.wake_up import CHANNEL, NOTIFY, listen
from outbox.submission.wake_up_sender import THREAD, WakeUpSender
from tests.support.engine.line import note_kind
from tests.support.network import proxy
from tests.support.network.proxy import Proxy
from tests.support.wait import wait_for

NOTE = note_kind("q")
DRIVERS: dict[str, dict[str, Any]] = {
    "psycopg": {},
    "asyncpg": {"drivername": "postgresql+asyncpg", "query": {}},
}
SCRIPT = """
import os
from pydantic import BaseModel
from sqlalchemy import NullPool, create_engine
from sqlalchemy.orm import Session
from outbox import Kind, submit
NOTE = Kind("test.note", type("Note", (BaseModel,), {{}}), queue="q")
engine = create_engine("{url}", poolclass=NullPool)
def work():
    with Session(engine) as session, session.begin():
        submit(session, NOTE())
work()
"""
FORK = """
child = os.fork()
if not child:
    engine.dispose(close=False)
    work()
    raise SystemExit
assert os.waitpid(child, 0)[1] == 0
"""

OTHERS = """
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""
END_OTHERS = OTHERS.replace("SELECT pid", "SELECT pg_terminate_backend(pid, 5000)")


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


@pytest.fixture
def sender(database_url: str) -> Iterator[WakeUpSender]:
    yield from _sender(database_url)


def _sender(address: str) -> Iterator[WakeUpSender]:
    opened = WakeUpSender(address)
    yield opened
    opened.close()
    assert opened.join(10)


def test_of_many_wake_ups_few_are_sent_and_the_last_that_asks_is_heard(
    sender: WakeUpSender, listener: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limit, "INTERVAL_SECONDS", 2)
    for _ in range(BURST):
        sender.send()
        _hear(listener, 1)
    for _ in range(100):
        sender.send()
    assert _heard(listener) == []
    _hear(listener, 1)
    sender.close()
    sender.join(10)
    assert _heard(listener) == []


def test_what_is_asked_just_before_it_closes_is_sent(
    sender: WakeUpSender, listener: psycopg.Connection
) -> None:
    sender.send()
    sender.close()
    sender.join(10)
    assert len(_heard(listener)) == 1


def test_nobody_waits_for_a_silent_postgres(
    postgres: Proxy, database_url: str, listener: psycopg.Connection
) -> None:
    with contextmanager(_sender)(postgres.url(database_url)) as sender:
        sender.send()
        _hear(listener, 1)
        postgres.delay = 0.5
        began = time.monotonic()
        for _ in range(100):
            sender.send()
        assert time.monotonic() - began < 0.5
        assert _heard(listener) == []
        _hear(listener, 1)


def test_after_its_connection_broke_it_makes_another(
    sender: WakeUpSender, listener: psycopg.Connection
) -> None:
    for _ in range(3):
        sender.send()
        _hear(listener, 1)
        listener.execute(END_OTHERS)
    assert _heard(listener) == []


def test_with_postgres_away_a_wake_up_fails_quietly() -> None:
    for sender in _sender("postgresql://127.0.0.1:1/duly"):
        sender.send()


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
def test_an_engines_sender_ends_when_it_is_disposed(
    database_url: str, listener: psycopg.Connection, driver: str
) -> None:
    threads, others = _threads(), set(listener.execute(OTHERS))  # of other tests

    async def use() -> None:
        engine = create_async_engine(sqlalchemy_url(database_url).set(**DRIVERS[driver]))
        for _ in range(2):
            async with AsyncSession(engine) as session:
                submit(session, NOTE())
                await session.commit()
            await asyncio.to_thread(_hear, listener, 1)
            assert _threads() - threads
            await engine.dispose()
            await asyncio.to_thread(wait_for, "its end", lambda: _threads() <= threads)
        wait_for("nobody else", lambda: set(listener.execute(OTHERS)) <= others)

    asyncio.run(use())


def test_a_process_that_ends_sends_its_last_wake_up_first(
    database_url: str, listener: psycopg.Connection
) -> None:
    code = SCRIPT.format(url=sqlalchemy_url(database_url).render_as_string(hide_password=False))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("", "")
    assert len(_heard(listener)) == 1


def test_a_forked_child_has_a_sender_of_its_own(
    database_url: str, listener: psycopg.Connection
) -> None:
    url = sqlalchemy_url(database_url).render_as_string(hide_password=False)
    code = SCRIPT.format(url=url) + FORK
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    assert len(_heard(listener)) == 2


def _threads() -> set[threading.Thread]:
    return {each for each in threading.enumerate() if each.name == THREAD}


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
