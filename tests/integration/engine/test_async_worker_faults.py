"""What `async def` actors can do to the worker that runs them, and it to them."""

import asyncio
from contextlib import closing
from datetime import timedelta

import psycopg
import pytest
from dramatiq.errors import ConnectionClosed
from pika import BlockingConnection, ConnectionParameters, URLParameters
from sqlalchemy import event, text

from outbox import Actor, Job, Retry
from outbox.worker import broker
from outbox.worker.runners import engines
from tests.support.engine.line import Line, Note, note_kind
from tests.support.wait import wait_for

ONCE = Retry(attempts=1)


def test_tasks_that_read_in_a_session_can_all_enter_their_transaction_meanwhile(
    line: Line, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each then has two connections, as each thread can have."""
    monkeypatch.setattr(engines, "TASKS_CONNECTIONS", 2)
    read: set[str] = set()

    async def do(note: Note, job: Job) -> None:
        async with job.sessions() as session:
            await session.execute(text("SELECT 1"))
            read.add(note.text)
            await asyncio.sleep(0.2)
            async with job.transaction() as tx:
                await tx.execute(text("SELECT 1"))

    kind = note_kind(queue, time_limit=timedelta(seconds=15), retry=ONCE)
    line.start_relay(queue)
    line.start_worker(Actor(kind, do))
    for job in [line.submit(kind(text=str(number))) for number in range(6)]:
        line.wait_for(job, "succeeded")


def test_tasks_that_wait_for_a_connection_get_one_after_others_failed_to_connect(
    line: Line, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that failed are tried again much later, or by another worker."""
    monkeypatch.setattr(engines, "TASKS_CONNECTIONS", 1)
    go_on = asyncio.Event()
    begun: list[str] = []

    async def do(note: Note, job: Job) -> None:
        begun.append(note.text)
        await go_on.wait()
        async with job.transaction() as tx:
            await tx.execute(text("SELECT 1"))

    kind = note_kind(queue, time_limit=timedelta(seconds=15), retry=ONCE)
    line.start_relay(queue)
    worker = line.start_worker(Actor(kind, do))
    ways = [True]

    async def fail(*_: object, **__: object) -> None:
        await asyncio.sleep(0.5)  # the others begin to wait
        raise psycopg.OperationalError("no way")

    def refuse_once(_: object, __: object, ___: object, options: dict[str, object]) -> None:
        if ways:
            options["async_creator_fn"] = fail
            ways.pop()

    event.listen(worker._async_engine.sync_engine, "do_connect", refuse_once, insert=True)
    jobs = [line.submit(kind(text=str(number))) for number in range(4)]
    wait_for("all to begin", lambda: len(begun) == 4)
    worker._tasks._loop.call_soon_threadsafe(go_on.set)
    wait_for(
        "all to end",
        lambda: all(line.job(job).state in ("succeeded", "dead") for job in jobs),
    )
    assert sorted(line.job(job).state for job in jobs) == ["dead"] + ["succeeded"] * 3


def test_an_exit_in_a_task_of_the_actors_own_is_recorded_and_ends_no_loop(
    line: Line, queue: str
) -> None:
    async def leave() -> None:
        raise SystemExit(1)

    async def do(_note: Note, _job: Job) -> None:
        await asyncio.create_task(leave())

    kind = note_kind(queue, retry=ONCE)
    line.start_relay(queue)
    worker = line.start_worker(Actor(kind, do))
    line.wait_for(line.submit(kind()), "dead")
    assert line.letters()[0].error_type == "SystemExit"
    assert worker.is_whole


def test_an_actor_cannot_stop_the_loop(line: Line, queue: str) -> None:
    async def do(_note: Note, _job: Job) -> str:
        asyncio.get_running_loop().stop()
        await asyncio.sleep(0.1)
        return "went on"

    kind = note_kind(queue, retry=ONCE)
    line.start_relay(queue)
    worker = line.start_worker(Actor(kind, do))
    assert line.wait_for(line.submit(kind()), "succeeded").result == "went on"
    assert worker.is_whole


def test_a_consumer_that_rabbitmq_refuses_leaves_no_connection_open(
    amqp_url: str, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[BlockingConnection] = []

    def connect(nodes: list[ConnectionParameters]) -> BlockingConnection:
        made.append(BlockingConnection(nodes))
        return made[-1]

    monkeypatch.setattr(broker, "BlockingConnection", connect)
    with closing(BlockingConnection(URLParameters(amqp_url))) as other:
        other.channel().queue_declare(queue, exclusive=True)
        consumers = broker.Broker(amqp_url, {queue: 1}, print, print)
        with pytest.raises(ConnectionClosed):
            consumers.consume(queue)
    assert [each.is_open for each in made] == [False]
