"""`duly batches`."""

from uuid import UUID

import psycopg
import pytest
from sqlalchemy.orm import Session

from outbox import batch, submit
from outbox.operations import batches, jobs
from outbox.operations.jobs import JobFilter
from tests.integration.cli.conftest import Duly, email
from tests.support.service import lives

RECORD = "SELECT who, why, act FROM duly.acts WHERE act LIKE '%batch' ORDER BY id"


@pytest.fixture
def group(session: Session) -> UUID:
    """A batch of two that grows."""
    with batch(session, on_success=email(), seal=False) as group:
        submit(session, email())
        submit(session, email())
    session.commit()
    return group.id


def test_batches_and_their_members_are_listed_and_shown(duly: Duly, group: UUID) -> None:
    (listed,) = duly.json("batches", "list", "--open")
    assert (listed["id"], listed["state"]) == (str(group), "growing")
    shown = duly.json("batches", "show", group)
    assert shown["callbacks"] == {"on_success": "email.send"}
    members = duly.json("batches", "members", group, "--state", "queued")
    assert [job["batch_id"] for job in members] == [str(group)] * 2


def test_a_batch_is_sealed_and_cancelled_by_somebody(
    duly: Duly, group: UUID, sql_now: psycopg.Connection
) -> None:
    for act, code in (("seal", 0), ("cancel", 0), ("seal", 1)):
        done = duly("batches", act, group, "--by", "ann", "--why", "enough")
        assert done.returncode == code
    assert done.stderr == "duly: nothing done: the batch is cancelling\n"
    assert sql_now.execute(RECORD).fetchall() == [
        ("ann", "enough", "seal-batch"),
        ("ann", "enough", "cancel-batch"),
    ]


def test_a_dead_member_of_a_cancelled_batch_is_not_replayed(
    duly: Duly, group: UUID, session: Session, sql_now: psycopg.Connection
) -> None:
    (job, _) = jobs.find(session, JobFilter(batch_id=group))
    letter = lives.die(sql_now, lives.claim(sql_now, str(job.id)), ("SMTPError", "full"))
    batches.cancel(session, group, by="ann")
    session.commit()
    done = duly("dlq", "replay", letter)
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        *(1, f"duly: not replayed, its batch was cancelled: {letter}"),
    )
