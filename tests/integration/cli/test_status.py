"""`duly status`: what it counts, and when it says that something is down."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy.orm import Session

from outbox import Priority, submit
from outbox.store import transitions
from service.subjects import KINDS
from tests.integration.cli.conftest import Duly, email


@pytest.fixture
def _worker(duly: Duly, sql_now: psycopg.Connection) -> None:
    """A live one: its only heartbeat counts for longer than the test takes."""
    duly.environment["DULY_WORKER_SILENCE"] = "PT1H"
    queues = json.dumps(KINDS.queues)
    beat = {"name": "w1", "queues": queues, "threads": 8, "tasks": 50, "code": None}
    sql_now.execute(transitions.RECORD_HEARTBEAT, beat)


def _email_queue(status: Any) -> Any:
    return next(each for each in status["queues"] if each["queue"] == "email")


@pytest.mark.usefixtures("_worker", "foreign")
def test_it_counts_what_waits_and_ends_with_0(duly: Duly, session: Session) -> None:
    for priority in (Priority.HIGH, Priority.LOW, Priority.LOW):
        submit(session, email(), priority=priority)
    submit(session, email(), run_at=datetime(2100, 1, 1, tzinfo=UTC))
    session.commit()
    status = duly.json("status")
    waiting = _email_queue(status)
    assert {name: waiting[name] for name in ("high", "normal", "low", "scheduled", "dead")} == {
        "high": 1,
        "normal": 0,
        "low": 2,
        "scheduled": 1,
        "dead": 1,
    }
    assert (waiting["queued"], waiting["running"], waiting["overdue"]) == (4, 0, 0)
    assert waiting["oldest_seconds"] < 60
    assert status["workers"][0]["alive"]
    assert (status["workers"][0]["threads"], status["workers"][0]["tasks"]) == (8, 50)
    assert status["down"] == []


@pytest.mark.usefixtures("_worker")
def test_queued_are_jobs_in_postgres_and_in_the_broker_and_each_once(
    duly: Duly, session: Session, sql_now: psycopg.Connection
) -> None:
    jobs = [submit(session, email()).id for _ in range(4)]
    session.commit()
    again = {"job_id": jobs[0], "dispatch": 1, "kind": "email.send", "queue": "email"}
    for published in (jobs[:3], jobs[:1]):  # the first one twice
        sent = {"job_id": published, "dispatch": [1] * len(published)}
        sql_now.execute(transitions.DELETE_EVENTS, sent)
        sql_now.execute(transitions.REDISPATCH, again | {"delay_seconds": 0})
    claimed = {"id": jobs[2:3], "dispatch": [1], "kind": ["email.send"], "worker": "w1"}
    sql_now.execute(transitions.CLAIM, claimed)

    waiting = _email_queue(duly.json("status"))

    assert (waiting["queued"], waiting["running"], waiting["normal"]) == (3, 1, 2)


@pytest.mark.usefixtures("_worker")
def test_jobs_that_nobody_publishes_tell_of_a_missing_relay(duly: Duly, session: Session) -> None:
    submit(session, email(), run_at=datetime.now(UTC) - timedelta(hours=1))
    session.commit()
    status = duly.json("status", code=1)
    assert _email_queue(status)["overdue"] == 1
    (late,) = status["overdue"]
    assert (late["kind"], late["state"]) == ("email.send", "queued")
    assert late["why"] == "it waits to be published, behind 0 others"
    assert late["why"] in duly("status").stdout
    (down,) = status["down"]
    assert down.startswith("no relay publishes email: ")


@pytest.mark.usefixtures("_worker")
def test_a_job_that_waits_for_a_full_key_tells_of_no_missing_relay(
    duly: Duly, session: Session, sql_now: psycopg.Connection
) -> None:
    first, _ = (submit(session, email()).id for _ in range(2))
    session.commit()
    sql_now.execute(
        "UPDATE duly.outbox_events SET keys = '{a}', available_at = now() - interval '1 h'"
    )
    assert duly.json("status", code=1)["down"] == [
        "no relay publishes email: a job has waited 3600 s"
    ]
    sql_now.execute("DELETE FROM duly.outbox_events WHERE job_id = %s", [first])
    sql_now.execute("INSERT INTO duly.key_holders VALUES ('a', %s, 1)", [first])
    status = duly.json("status")
    assert status["down"] == []
    assert _email_queue(status)["oldest_seconds"] >= 3600


def test_without_broker_and_workers_it_still_tells_what_it_knows(duly: Duly) -> None:
    duly.environment["AMQP_URL"] = "amqp://127.0.0.1:1"
    done = duly("status")
    assert done.returncode == 1
    assert done.stdout.startswith("queue ")
    broker, *workers = done.stderr.splitlines()
    assert broker.startswith("duly: RabbitMQ cannot be reached: ")
    assert workers == [f"duly: no worker serves {queue}" for queue in KINDS.queues]


def test_numbers_that_are_behind_their_rows_are_told_and_mended_by_migrate(
    duly: Duly, die: Callable[..., UUID], sql_now: psycopg.Connection
) -> None:
    """As after a switchover by logical replication, which does not copy sequences."""
    for _ in range(3):
        die()
    sql_now.execute("SELECT setval('duly.dead_letters_id_seq', 1, false)")
    behind = "the numbers of duly.dead_letters are behind its rows: run `duly migrate`"
    assert behind in duly.json("status", code=1)["down"]
    migrated = duly("migrate")
    assert migrated.returncode == 0
    assert "the numbers of duly.dead_letters were behind: they go on after 3" in migrated.stderr
    assert behind not in duly.json("status", code=1)["down"]
    die()
    assert "were behind" not in duly("migrate").stderr
