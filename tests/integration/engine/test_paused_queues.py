"""Queues that somebody paused: what relays publish, and what they cost."""

from collections.abc import Callable
from datetime import timedelta

import psycopg
import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from outbox import Actor, Key, Kinds
from outbox.operations import status
from outbox.operations.backlog.queue_status import QueueStatus
from outbox.operations.flow import queue_pauses
from outbox.operations.flow.queue_pauses import Refused, UnknownQueue
from outbox.relay import poll_policy
from outbox.store import transitions
from tests.support.engine.by_hand import ByHand
from tests.support.engine.line import Line, do_nothing, note_kind
from tests.support.engine.rabbit import Rabbit
from tests.support.wait import wait_for

Act = Callable[..., object]


class Person:
    """Pauses and resumes queues."""

    def __init__(self, engine: Engine, kinds: Kinds) -> None:
        self._engine = engine
        self.kinds = kinds

    def __call__(self, act: Act, queue: str, by: str = "ann", why: str | None = None) -> object:
        with Session(self._engine) as session, session.begin():
            return act(session, self.kinds, queue, by=by, why=why)

    def status(self, queue: str) -> QueueStatus:
        with Session(self._engine) as session:
            found = status.queues(session, self.kinds, timedelta(seconds=1))
        return next(each for each in found if each.queue == queue)


@pytest.fixture
def person(engine: Engine, queue: str) -> Person:
    return Person(engine, Kinds(note_kind(queue)))


def test_a_relay_that_starts_publishes_nothing_of_a_paused_queue(
    line: Line, rabbit: Rabbit, person: Person, queue: str, new_queue: Callable[[], str]
) -> None:
    other = new_queue()
    for name in (queue, other):
        rabbit.declare(name)
    person(queue_pauses.pause, queue)
    waiting = line.submit(note_kind(queue)())
    line.start_relay(queue)
    line.submit(note_kind(other)())
    wait_for("the other queue's message", lambda: rabbit.depth(other) == 1)
    assert rabbit.depth(queue) == 0
    person(queue_pauses.resume, queue)
    wait_for("its message", lambda: rabbit.depth(queue) == 1)
    assert line.job(waiting).dispatch == 1


def test_a_pause_reaches_a_relay_that_does_not_sweep_by_itself(
    line: Line,
    rabbit: Rabbit,
    person: Person,
    queue: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for interval in ("SWEEP_SECONDS", "IDLE_POLL_SECONDS", "LONGEST_INTERVAL_SECONDS"):
        monkeypatch.setattr(poll_policy, interval, 3600)
    rabbit.declare(queue)
    line.start_relay(queue)
    first = line.submit(note_kind(queue)())
    wait_for("the first message", lambda: rabbit.depth(queue) == 1)
    person(queue_pauses.pause, queue)
    wait_for("the relay to know", lambda: "paused queues changed" in capsys.readouterr().out)
    second = line.submit(note_kind(queue)())
    line.start_worker(Actor(note_kind(queue), do_nothing))
    line.wait_for(first, "succeeded")  # it was in the broker
    assert line.job(second).state == "queued"
    person(queue_pauses.resume, queue)
    line.wait_for(second, "succeeded")


def test_a_job_with_a_key_waits_in_a_paused_queue(
    line: Line, rabbit: Rabbit, person: Person, queue: str, new_queue: Callable[[], str]
) -> None:
    other = new_queue()
    for name in (queue, other):
        rabbit.declare(name)
    keyed = {"key": Key(lambda note: f"k:{note.text}", at_most=1)}
    kind, elsewhere = note_kind(queue, "keyed", **keyed), note_kind(other, "other", **keyed)
    person(queue_pauses.pause, queue)
    waiting = line.submit(kind(text="a"))
    line.start_relay(queue, other, kinds=[kind, elsewhere])
    line.submit(elsewhere(text="b"))
    wait_for("the other queue's message", lambda: rabbit.depth(other) == 1)
    assert (rabbit.depth(queue), line.job(waiting).state) == (0, "queued")
    person(queue_pauses.resume, queue)
    wait_for("its message", lambda: rabbit.depth(queue) == 1)


def test_a_paused_queue_is_not_overdue(
    line: Line, person: Person, queue: str, sql_now: psycopg.Connection
) -> None:
    line.submit(note_kind(queue)())
    sql_now.execute("UPDATE duly.jobs SET run_at = now() - interval '1 hour'")
    assert (person.status(queue).overdue, len(line.overdue())) == (1, 1)
    person(queue_pauses.pause, queue, why="the receiver is down")
    found = person.status(queue)
    assert (found.overdue, found.queued, len(line.overdue())) == (0, 1, 0)
    assert found.paused
    assert (found.paused.who, found.paused.why) == ("ann", "the receiver is down")


def test_each_act_is_on_record_once(
    person: Person, queue: str, sql_now: psycopg.Connection
) -> None:
    person(queue_pauses.pause, queue, why="one")
    with pytest.raises(Refused, match=f"^{queue} is paused already$"):
        person(queue_pauses.pause, queue, by="bob", why="two")
    person(queue_pauses.resume, queue, by="bob")
    with pytest.raises(Refused, match=f"^{queue} is not paused$"):
        person(queue_pauses.resume, queue)
    done = "SELECT act, who, why FROM duly.acts WHERE about = ARRAY[%s] ORDER BY id"
    assert sql_now.execute(done, [f"queue:{queue}"]).fetchall() == [
        ("queue-pause", "ann", "one"),
        ("queue-resume", "bob", None),
    ]


@pytest.mark.parametrize("act", [queue_pauses.pause, queue_pauses.resume])
def test_a_queue_that_nobody_has_is_refused(person: Person, act: Act) -> None:
    with pytest.raises(UnknownQueue, match="no kind, worker or waiting job has the queue nobodys"):
        person(act, "nobodys")


def test_a_queue_that_only_a_waiting_job_has_can_be_paused(
    line: Line, person: Person, new_queue: Callable[[], str]
) -> None:
    other = new_queue()
    line.submit(note_kind(other)())
    person(queue_pauses.pause, other)
    assert person.status(other).paused


def test_pauses_ride_on_the_statement_that_finds_queues(by_hand: ByHand) -> None:
    by_hand.submit("a")
    by_hand.submit("b")
    asked = {"by": "ann", "why": None, "channel": "c", "message": "m"}
    for queue in ("b", "empty"):
        by_hand.take(transitions.PAUSE_QUEUE, queue=queue, **asked)
    found = {row["queue"]: row["is_paused"] for row in by_hand.take(transitions.QUEUES_IN_USE)}
    assert found == {"a": False, "b": True, "empty": True}
