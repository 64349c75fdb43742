"""While the standby is away no commit is answered, and one that is cancelled is no success."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from outbox import Actor, Job, Retry, events, submit
from outbox.amqp.topology import dead_letter_queue
from outbox.http.requests import transaction
from outbox.operations import api_keys
from outbox.operations.api_keys import Scope
from outbox.postgres.replication import Unreplicated, is_unreplicated
from outbox.store import transitions
from outbox.worker.records.group_commit import GroupCommit
from service.subjects import NEW_JOBS
from tests.integration.cli.conftest import Duly, email
from tests.support.engine.effects import Effects
from tests.support.engine.line import Line, Note, note_kind
from tests.support.engine.rabbit import Rabbit
from tests.support.servers.standby import Pair
from tests.support.service.serving import serve, settings_for
from tests.support.wait import wait_for

MAIL: Any = NEW_JOBS["a mail"]["value"]
KEY = {"Idempotency-Key": "order-1"}
JOBS = "SELECT count(*) FROM duly.jobs"
LETTERS = "SELECT count(*) FROM duly.dead_letters"
UNKNOWN = (503, "/problems/outcome-unknown")
QUEUE = "failover"
LONG_OVER = timedelta(days=-1)
"""A margin with which any attempt that could be stuck is."""


@pytest.fixture
def client(
    database_url: str,
    amqp_url: str,
    engine: Engine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[httpx2.Client]:
    """A client of an API that gives a request up after a second."""
    monkeypatch.setattr(transaction, "LONGEST_SECONDS", 1)
    with Session(engine) as session, session.begin():
        key = api_keys.create(session, "test", [Scope.ADMIN], by="test")
    with serve(settings_for(database_url, amqp_url, tmp_path)) as address:
        headers = {"Authorization": f"Bearer {key}"}
        with httpx2.Client(base_url=address, headers=headers, timeout=30) as client:
            yield client


@pytest.fixture
def thread() -> Iterator[ThreadPoolExecutor]:
    """For what waits."""
    with ThreadPoolExecutor(1) as thread:
        yield thread


@pytest.fixture
def line(engine: Engine, database_url: str, amqp_url: str) -> Iterator[Line]:
    """Relay and workers in this process."""
    line = Line(engine, database_url, amqp_url)
    yield line
    line.stop()


def test_a_repeated_request_is_answered_once_the_standby_has_the_first(
    pair: Pair, client: httpx2.Client, database_url: str
) -> None:
    with pair.standby_away():
        assert _outcome(_post(client)) == UNKNOWN
        assert _post(client).json()["type"] == "/problems/in-flight"
        assert _count(database_url) == 0  # or it had been committed by the cancelling of its wait
        pair.primary.kill()
        pair.primary.start()
        assert _count(database_url) == 1  # what is on its disk has committed now
        assert _outcome(_post(client)) == UNKNOWN
    settled = wait_for("an answer", lambda: _unless_in_flight(_post(client)))
    assert (settled.status_code, settled.headers["idempotent-replayed"]) == (202, "true")

    pair.fail_over()
    pair.restore()
    assert _count(database_url) == 1


@pytest.mark.parametrize("headers", [KEY, {}])
def test_a_request_whose_commit_is_cancelled_gets_no_2xx(
    pair: Pair,
    client: httpx2.Client,
    thread: ThreadPoolExecutor,
    monkeypatch: pytest.MonkeyPatch,
    headers: dict[str, str],
) -> None:
    monkeypatch.setattr(transaction, "LONGEST_SECONDS", 20)
    with pair.standby_away():
        answer = thread.submit(_post, client, headers)
        pair.cancel_a_commit()
        assert _outcome(answer.result()) == UNKNOWN


@pytest.mark.slow
def test_commits_that_wait_hold_no_more_than_the_connections_of_the_pool(
    pair: Pair, client: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transaction, "LONGEST_SECONDS", 0.2)
    with pair.standby_away():
        while _outcome(_post(client, {})) == UNKNOWN and len(pair.commits_that_wait()) < 10:
            pass
        monkeypatch.setattr(transaction, "LONGEST_SECONDS", 20)
        assert _outcome(_post(client, {})) == (503, "/problems/unavailable")
        assert len(pair.commits_that_wait()) == 10
    wait_for("an answer", lambda: _post(client, {}).is_success)


@pytest.mark.parametrize(
    "command",
    [
        ("jobs", "submit", "email.send", "--payload", '{"to":"a@b.c","subject":"s","text":"t"}'),
        pytest.param(
            ("keys", "create", "--name", "new", "--scopes", "read"), marks=pytest.mark.slow
        ),
        pytest.param(("dlq", "discard", "--all", "--yes", "--by", "ann"), marks=pytest.mark.slow),
    ],
    ids=lambda command: command[0],
)
def test_a_command_whose_commit_is_cancelled_fails(
    pair: Pair, database_url: str, amqp_url: str, command: tuple[str, ...]
) -> None:
    with psycopg.connect(database_url) as database:
        database.execute(
            "INSERT INTO duly.dead_letters (queue, reason, error_type, error_message)"
            " VALUES ('email', 'malformed', 'Malformed', 'no JSON')"
        )
    with pair.standby_away():
        process = Duly(database_url, amqp_url).start(*command)
        pair.cancel_a_commit()
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert err.startswith("duly: committed, but no standby has confirmed it")


@pytest.mark.slow
def test_a_migration_whose_commit_is_cancelled_fails(
    pair: Pair, empty_database_url: str, amqp_url: str
) -> None:
    with pair.standby_away():
        process = Duly(empty_database_url, amqp_url).start("migrate")
        pair.cancel_a_commit()
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "committed, but no standby has confirmed it" in err


def test_the_group_commit_answers_once_the_standby_has_the_record(
    pair: Pair, database_url: str, engine: Engine, thread: ThreadPoolExecutor
) -> None:
    with Session(engine) as session, session.begin():
        job = submit(session, email())
    claim = {"id": str(job.id), "dispatch": 1, "kind": job.kind}
    success = {"id": str(job.id), "dispatch": 1, "attempt": 1, "result": None}
    with closing(GroupCommit(database_url, "w1")) as group_commit:
        group_commit.start()
        assert group_commit.write(transitions.CLAIM, claim).attempt == 1
        with pair.standby_away():
            answer: Future[Any] = thread.submit(group_commit.write, transitions.SUCCEED, success)
            for _ in range(2):
                pair.cancel_a_commit()
                wait_for("another try", lambda: pair.commits_that_wait())
            assert not answer.done()
        answer.result(30)
    pair.fail_over()
    pair.restore()
    with psycopg.connect(database_url) as database:
        assert database.execute("SELECT state FROM duly.jobs").fetchone() == ("succeeded",)


@pytest.mark.parametrize("is_async", [False, True], ids=["thread", "task"])
def test_an_actor_is_told_that_no_standby_has_its_transaction(
    pair: Pair, line: Line, engine: Engine, *, is_async: bool
) -> None:
    kind = note_kind(QUEUE, retry=Retry(attempts=1))
    raised: list[Any] = []
    told: list[events.Event] = []
    effects, has_begun, may_commit = Effects(engine), threading.Event(), threading.Event()

    def do(_note: Note, job: Job) -> None:
        try:
            with job.transaction() as tx:
                effects.add(tx, job.id)
                has_begun.set()
                assert may_commit.wait(30)
        except OperationalError as error:
            raised.append(error.orig)
            raise

    async def do_async(_note: Note, job: Job) -> None:
        try:
            async with job.transaction() as tx:
                await tx.run_sync(effects.add, job.id)
                has_begun.set()
                assert await asyncio.to_thread(may_commit.wait, 30)
        except OperationalError as error:
            raised.append(error.orig)
            raise

    line.start_relay(QUEUE)
    worker = line.start_worker(Actor(kind, do_async if is_async else do))
    end = events.on(events.AttemptEvent, told.append)
    job = line.submit(kind())
    assert has_begun.wait(30)
    assert worker.stuck(LONG_OVER)
    with pair.standby_away():
        may_commit.set()
        wait_for("a commit", pair.commits_that_wait)
        assert not worker.stuck(LONG_OVER)
        pair.cancel_a_commit()
        wait_for("an error", lambda: raised)
    assert isinstance(raised[0], Unreplicated)
    assert is_unreplicated(raised[0])
    line.wait_for(job, "succeeded")
    line.stop()
    end()
    assert (line.attempts(job), len(effects.all())) == ([], 1)
    assert [type(each) for each in told] == [events.Claimed, events.Started, events.Succeeded]


def test_a_foreign_message_is_kept_until_the_standby_has_its_letter(
    pair: Pair, line: Line, rabbit: Rabbit, database_url: str
) -> None:
    consumer = dead_letter_queue(QUEUE)
    rabbit.declare(QUEUE)
    rabbit.publish(consumer, b"no JSON")
    with pair.standby_away():
        line.start_relay(QUEUE)
        for _ in range(2):
            pair.cancel_a_commit()
            wait_for("another try", pair.commits_that_wait)
    wait_for("its acknowledgement", lambda: _count(database_url, LETTERS) >= 3)
    line.stop()
    assert rabbit.depth(consumer) == 0


def test_a_worker_that_cannot_commit_is_not_taken_for_dead(
    pair: Pair, line: Line, engine: Engine, database_url: str
) -> None:
    with pair.standby_away(), psycopg.connect(database_url, autocommit=True) as database:
        line.start_worker(Actor(note_kind(QUEUE), lambda _note, _job: None))
        first = database.execute("SELECT heartbeat_at FROM duly.workers").fetchone()
        assert first

        def beats() -> bool:
            return database.execute("SELECT heartbeat_at FROM duly.workers").fetchone() != first

        wait_for("another heartbeat", beats, 20)


def _post(client: httpx2.Client, headers: dict[str, str] | None = None) -> httpx2.Response:
    return client.post("/v1/jobs", json=MAIL, headers=KEY if headers is None else headers)


def _outcome(answer: httpx2.Response) -> tuple[int, str | None]:
    return answer.status_code, answer.json().get("type")


def _unless_in_flight(answer: httpx2.Response) -> httpx2.Response | None:
    return None if answer.status_code in (409, 503) else answer


def _count(database_url: str, query: str = JOBS) -> int:
    with psycopg.connect(database_url) as database:
        row = database.execute(query).fetchone()
    assert row
    return int(row[0])
