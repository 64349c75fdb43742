"""`duly batches`."""

from uuid import UUID

import psycopg
import pytest
from sqlalchemy.orm import Session

from outbox import batch, submit
from tests.integration.cli.conftest import MISSING, Duly, email

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
    assert duly.json("batches", "list", "--settled") == []
    shown = duly.json("batches", "show", group)
    assert shown["callbacks"] == {"on_success": "email.send"}
    members = duly.json("batches", "members", group, "--state", "queued")
    assert [job["batch_id"] for job in members] == [str(group)] * 2


def test_a_batch_is_sealed_and_cancelled_by_somebody(
    duly: Duly, group: UUID, sql_now: psycopg.Connection
) -> None:
    for act in ("seal", "cancel"):
        assert duly("batches", act, group, "--by", "ann", "--why", "enough").returncode == 0
    again = duly("batches", "cancel", group)
    assert (again.returncode, again.stderr) == (1, "duly: nothing done: the batch is cancelling\n")
    assert duly("batches", "show", MISSING).returncode == 3
    assert sql_now.execute(RECORD).fetchall() == [
        ("ann", "enough", "seal-batch"),
        ("ann", "enough", "cancel-batch"),
    ]
