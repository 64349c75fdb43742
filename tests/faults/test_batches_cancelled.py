"""A batch is cancelled while a process is killed: its members end, and no success is told."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from outbox import batch, submit
from outbox.cli.errors import Code
from tests.faults import moments
from tests.faults.actors import BOOK, LINGER
from tests.faults.line import Line, has_crashed
from tests.faults.moments import Moment
from tests.faults.points import points
from tests.faults.promises import Promises
from tests.support.wait import wait_for

MARKS = "SELECT mark FROM entries"
ENDS = "SELECT payload->>'mark', state FROM duly.jobs"
OUTCOMES = "SELECT generation, outcome FROM duly.batches"
CALLBACKS = "SELECT generation, name FROM duly.batch_callbacks"
BEGUN = "SELECT id FROM duly.jobs WHERE kind = 'fault.linger' AND state = 'running'"


@pytest.fixture
def group(engine: Engine) -> UUID:
    """A batch: of its members one is quick, one lingers, and one comes in an hour."""
    later = datetime.now(UTC) + timedelta(hours=1)
    with (
        Session(engine) as session,
        session.begin(),
        batch(session, on_success=BOOK(mark="success"), on_settled=BOOK(mark="settled")) as group,
    ):
        submit(session, BOOK(mark="quick"))
        submit(session, LINGER(mark="lingering"))
        submit(session, BOOK(mark="waiting"), run_at=later)
    return group.id


def wait_for_members(promises: Promises) -> None:
    """Wait until one has ended, and another has begun."""
    wait_for("a member's end", lambda: promises.rows(MARKS) == ["quick"])
    wait_for("a member's begin", lambda: promises.rows(BEGUN))


def cancel(line: Line, group: UUID) -> None:
    """As a person does."""
    line.duly("batches", "cancel", str(group))


def assert_cancelled(promises: Promises) -> None:
    """What had ended stays, the others are cancelled without an effect, and it is told once."""
    wait_for("the end", lambda: "settled" in promises.rows(MARKS))
    wait_for("quiet", lambda: not any(promises.left().values()))
    assert dict(promises.rows(ENDS)) == {
        "quick": "succeeded",
        "lingering": "cancelled",
        "waiting": "cancelled",
        "settled": "succeeded",
    }
    assert sorted(promises.rows(MARKS)) == ["quick", "settled"]
    assert promises.rows(OUTCOMES) == [(1, "cancelled")]
    assert promises.rows(CALLBACKS) == [(1, "on_settled")]


@points(moments.BATCH_COMMAND)
def test_the_command(moment: Moment, group: UUID, line: Line, promises: Promises) -> None:
    """A person gives it again."""
    line.start("relay", "worker")
    wait_for_members(promises)
    command = ("batches", "cancel", str(group))
    assert has_crashed(line.start_doomed(moment, *command))
    assert line.start_impatient(*command).wait() in (Code.OK, Code.FAILED)
    assert_cancelled(promises)


@points([*moments.MEMBERS, *moments.FOLDING])
def test_the_relay(moment: Moment, group: UUID, line: Line, promises: Promises) -> None:
    relay, _ = line.start("relay", "worker")
    wait_for_members(promises)
    relay.kill()
    cancel(line, group)
    assert has_crashed(line.start_doomed(moment, "relay"))
    line.start("relay")
    assert_cancelled(promises)


@points(moments.CANCELLED)
def test_the_worker(moment: Moment, group: UUID, line: Line, promises: Promises) -> None:
    line.start("relay")
    worker = line.start_doomed(moment, "worker")
    wait_for_members(promises)
    cancel(line, group)
    assert has_crashed(worker)
    line.start("worker")
    assert_cancelled(promises)
