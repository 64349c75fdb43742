"""`duly jobs cancel` over several chunks: interrupted, and continued by another command."""

import re
import signal
from uuid import UUID

import psycopg
import pytest
from sqlalchemy.orm import Session

from outbox import submit, submit_all
from tests.integration.cli.conftest import Duly, email
from tests.support.engine.by_hand import WAITING
from tests.support.wait import wait_for

CANCEL = ("jobs", "cancel", "--subject", "import:7", "--yes", "--by", "ann", "--why", "twice")
STATES = "SELECT state, count(*) FROM duly.jobs GROUP BY state ORDER BY state"


@pytest.fixture
def jobs(session: Session) -> list[UUID]:
    """More than one chunk of jobs, the newest first."""
    found = submit_all(session, [email()] * 600, subject="import:7")
    session.commit()
    return [job.id for job in reversed(found)]


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_cancel_is_continued_with_exactly_the_rest(
    duly: Duly,
    jobs: list[UUID],
    session: Session,
    database_url: str,
    sql_now: psycopg.Connection,
    end: signal.Signals,
) -> None:
    with psycopg.connect(database_url) as other:
        other.execute("SELECT FROM duly.jobs WHERE id = %s FOR UPDATE", [jobs[550]])
        with duly.start(*CANCEL) as cancelling:
            wait_for("the command to be blocked", lambda: sql_now.execute(WAITING).fetchone())
            cancelling.send_signal(end)
            _, talk = cancelling.communicate(timeout=30)
    assert cancelling.returncode in (130, -signal.SIGKILL)
    assert sql_now.execute(STATES).fetchall() == [("cancelled", 500), ("queued", 100)]
    submit(session, email(), subject="import:7")  # not among those that were confirmed
    session.commit()
    found = re.match(r"duly: act (\d+) begins; .*`duly jobs cancel --continue \1` does the", talk)
    assert found, talk
    done = duly("jobs", "cancel", "--continue", found[1], "--by", "bob", "--output", "json")
    assert done.stderr == f"duly: 100 of 600 are left of act {found[1]}, by ann\n"
    assert done.stdout.count('"cancelled"') == 100
    assert sql_now.execute(STATES).fetchall() == [("cancelled", 600), ("queued", 1)]
    acts = "SELECT who, why, cardinality(about) FROM duly.acts WHERE act = 'cancel' ORDER BY id"
    assert sql_now.execute(acts).fetchall() == [("ann", "twice", 500), ("bob", "twice", 100)]
