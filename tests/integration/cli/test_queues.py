"""Queues by command."""

from datetime import UTC, datetime, timedelta

import psycopg
from sqlalchemy.orm import Session

from outbox import submit
from tests.integration.cli.conftest import Duly, email

RECORD = "SELECT act, who, why FROM duly.acts WHERE act LIKE 'queue-%' ORDER BY id"


def test_a_queue_is_paused_listed_and_resumed(
    duly: Duly, session: Session, sql_now: psycopg.Connection
) -> None:
    submit(session, email(), run_at=datetime.now(UTC) - timedelta(hours=1))
    session.commit()
    paused = duly("queues", "pause", "email", "--by", "ann", "--why", "the server is down")
    assert paused.stderr == "duly: paused email\n"
    (row,) = (line for line in duly("queues", "list").stdout.splitlines() if "email" in line)
    assert row.endswith("ann  the server is down")
    status = duly.json("status", code=1)  # there are no workers
    (queue,) = (each for each in status["queues"] if each["queue"] == "email")
    assert (queue["paused"]["who"], queue["overdue"], status["overdue"]) == ("ann", 0, [])
    assert not any("relay" in each for each in status["down"])
    assert duly("queues", "resume", "email", "--by", "bob").stderr == "duly: resumed email\n"
    assert sql_now.execute(RECORD).fetchall() == [
        ("queue-pause", "ann", "the server is down"),
        ("queue-resume", "bob", None),
    ]


def test_what_cannot_be_is_refused(duly: Duly) -> None:
    unknown = duly("queues", "pause", "nobodys")
    assert unknown.returncode == 3
    assert unknown.stderr == "duly: no kind, worker or waiting job has the queue nobodys\n"
    refused = duly("queues", "resume", "email")
    assert (refused.returncode, refused.stderr) == (1, "duly: email is not paused\n")
