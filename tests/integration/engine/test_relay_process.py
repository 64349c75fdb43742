"""What a duty of the relay process does about outages."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from psycopg import AsyncConnection
from structlog.testing import capture_logs

from outbox.amqp.connection import BrokerGone
from outbox.maintenance import supervision

Deed = Callable[[AsyncConnection[Any]], Awaitable[None]]


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first is the shortest, the fourth eight times as long."""
    monkeypatch.setattr(supervision, "FIRST_BACKOFF_SECONDS", 0.02)


def test_a_run_that_lasted_lets_the_pauses_begin_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "BACKOFF_RESETS_AFTER_SECONDS", 0.1)
    ended: list[float] = []
    queue_backoff: list[float] = []

    async def run() -> None:
        now = asyncio.get_running_loop().time
        queue_backoff.extend(now() - before for before in ended[-1:])
        if len(ended) == 4:
            await asyncio.sleep(0.2)  # what it does all the time
        ended.append(now())
        if len(ended) < 6:
            raise BrokerGone("away")

    asyncio.run(supervision.supervise("relay", run))
    assert queue_backoff[3] > 0.07
    assert queue_backoff[4] < 0.07


async def _write_read_only(database: AsyncConnection[Any]) -> None:
    await database.execute("SET default_transaction_read_only = on")
    await database.execute("DELETE FROM duly.outbox_events")


async def _be_cancelled(database: AsyncConnection[Any]) -> None:
    await database.execute("SET statement_timeout = 10")
    await database.execute("SELECT pg_sleep(60)")


async def _idle_in_transaction(database: AsyncConnection[Any]) -> None:
    await database.execute("SET idle_in_transaction_session_timeout = 10")
    async with database.transaction():
        told = asyncio.Event()
        asyncio.get_running_loop().add_reader(database.fileno(), told.set)
        await told.wait()
        asyncio.get_running_loop().remove_reader(database.fileno())
        await database.execute("SELECT")


async def _use_a_plan_for_another_type(database: AsyncConnection[Any]) -> None:
    await database.execute("CREATE TEMPORARY TABLE changing AS SELECT 1 AS n")
    await database.execute("SELECT * FROM changing", prepare=True)
    await database.execute("DO $$BEGIN ALTER TABLE changing ALTER n TYPE bigint; END$$")
    await database.execute("SELECT * FROM changing", prepare=True)


async def _use_what_was_discarded(database: AsyncConnection[Any]) -> None:
    await database.execute("SELECT 1", prepare=True)
    await database.execute("DO $$BEGIN EXECUTE 'DISCARD PLANS'; EXECUTE 'DEALLOCATE ALL'; END$$")
    await database.execute("SELECT 1", prepare=True)


async def _be_terminated(database: AsyncConnection[Any]) -> None:
    await database.execute("SELECT pg_terminate_backend(pg_backend_pid())")


@pytest.mark.parametrize(
    "deed",
    [
        *(_write_read_only, _be_cancelled, _idle_in_transaction, _be_terminated),
        *(_use_a_plan_for_another_type, _use_what_was_discarded),
    ],
)
def test_what_postgres_refuses_for_a_while_is_tried_again(database_url: str, deed: Deed) -> None:
    deeds = [deed]

    async def run() -> None:
        async with await AsyncConnection.connect(database_url, autocommit=True) as database:
            if deeds:
                await deeds.pop()(database)
                pytest.fail("nothing was refused")

    asyncio.run(supervision.supervise("relay", run))
    assert deeds == []


def test_a_bug_in_a_duty_does_not_end_it_and_is_told_with_its_traceback_once(
    database_url: str,
) -> None:
    runs = []

    async def run() -> None:
        runs.append(1)
        async with await AsyncConnection.connect(database_url) as database:
            if len(runs) < 4:
                await database.execute("SELECT FROM duly.no_such_table")

    with capture_logs() as logs:
        asyncio.run(supervision.supervise("relay", run))
    assert len(runs) == 4
    told = [(log["event"], log["duty"], bool(log["exc_info"])) for log in logs]
    failed = "a duty failed", "relay"
    assert told == [(*failed, True), (*failed, False), (*failed, False)]
    assert 'relation "duly.no_such_table" does not exist' in logs[0]["error"]
