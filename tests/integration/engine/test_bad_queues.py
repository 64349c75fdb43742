"""One queue that RabbitMQ refuses, or that takes no messages, keeps no other waiting."""

import time
from collections.abc import Callable

import pytest

from outbox import Actor
from outbox.amqp import topology
from tests.support.engine.by_hand import ByHand
from tests.support.engine.line import Line, do_nothing, note_kind
from tests.support.engine.rabbit import Rabbit
from tests.support.wait import wait_for

LONGEST_WAIT_SECONDS = 0.5
LEFT_OUT = "queue left out"


def assert_served_soon(line: Line, queue: str) -> None:
    """Most jobs of the queue are done as soon as if it were alone."""
    kind = note_kind(queue)
    line.start_worker(Actor(kind, do_nothing))
    line.wait_for(line.submit(kind()), "succeeded")
    waits = []
    for _ in range(10):
        began = time.monotonic()
        line.wait_for(line.submit(kind()), "succeeded")
        waits.append(time.monotonic() - began)
    assert sorted(waits)[7] < LONGEST_WAIT_SECONDS


@pytest.fixture
def foreign(rabbit: Rabbit, new_queue: Callable[[], str]) -> str:
    """Somebody else's queue, of another type."""
    rabbit.declare_classic(foreign := new_queue())
    return foreign


@pytest.fixture
def full(rabbit: Rabbit, new_queue: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> str:
    """A queue that has as many messages as a policy allows; here its declaration says how many."""
    ordinary, full = topology.work_queue, new_queue()
    monkeypatch.setattr(
        topology,
        "work_queue",
        lambda queue: ordinary(queue) | ({"x-max-length": 1} if queue == full else {}),
    )
    rabbit.fill(full)
    return full


def test_a_queue_that_was_declared_otherwise_is_used_as_it_is(
    line: Line, queue: str, foreign: str, capfd: pytest.CaptureFixture[str]
) -> None:
    line.start_relay(queue, foreign)
    assert_served_soon(line, foreign)
    assert_served_soon(line, queue)
    said = [row for row in capfd.readouterr().out.splitlines() if topology.USED_AS_IT_IS in row]
    assert len(said) == 2  # the relay and the worker
    assert all(foreign in row and "PRECONDITION_FAILED" in row for row in said)


def test_queues_of_the_release_before_are_served(line: Line, rabbit: Rabbit, queue: str) -> None:
    rabbit.declare(queue, **{"x-dead-letter-strategy": "at-least-once"})
    line.start_relay(queue)
    assert_served_soon(line, queue)


def test_a_queue_that_another_connection_keeps_to_itself_is_left_out(
    line: Line, rabbit: Rabbit, by_hand: ByHand, queue: str, capfd: pytest.CaptureFixture[str]
) -> None:
    rabbit.declare_exclusive(mine := f"{queue}-mine")
    job = by_hand.submit(mine)
    line.start_relay(queue)
    assert_served_soon(line, queue)
    assert by_hand.job(job)["state"] == "queued"
    said = [row for row in capfd.readouterr().out.splitlines() if LEFT_OUT in row]
    assert any(mine in row and "RESOURCE_LOCKED" in row for row in said)


def test_a_queue_whose_name_is_reserved_is_left_out(
    line: Line, by_hand: ByHand, queue: str
) -> None:
    job = by_hand.submit("amq.reserved")
    line.start_relay(queue)
    assert_served_soon(line, queue)
    assert by_hand.job(job)["state"] == "queued"


def test_a_full_queue_is_left_out_until_it_takes_messages(
    line: Line, rabbit: Rabbit, by_hand: ByHand, queue: str, full: str
) -> None:
    jobs = [by_hand.submit(full) for _ in range(50)]
    line.start_relay(queue)
    assert_served_soon(line, queue)
    assert all(by_hand.event(job) for job in jobs)
    rabbit.take(full)
    wait_for("a message", lambda: rabbit.depth(full))
    assert {by_hand.job(job)["state"] for job in jobs} == {"queued"}


def test_an_intake_that_was_declared_otherwise_is_collected_from(
    line: Line, rabbit: Rabbit, queue: str, new_queue: Callable[[], str]
) -> None:
    rabbit.declare(queue)
    rabbit.declare_classic(topology.dead_letter_queue(other := new_queue()))
    line.start_relay(other, queue)
    for each in (queue, other):
        rabbit.publish(topology.dead_letter_queue(each), b"foreign")
    wait_for("both", lambda: {letter.queue for letter in line.letters()} == {queue, other})


@pytest.mark.parametrize(
    ("queue_name", "kind_name", "why"),
    [
        ("q" * 253, "test.note", "no queue of RabbitMQ can have the name of its queue"),
        ("", "test.note", "no queue of RabbitMQ can have the name of its queue"),
        ("q", "tab\there", "the name of its kind is too long, or not printable"),
    ],
)
def test_a_job_whose_message_nobody_could_take_is_buried_at_once(
    line: Line, by_hand: ByHand, queue: str, queue_name: str, kind_name: str, why: str
) -> None:
    name = queue if queue_name == "q" else queue_name
    job = by_hand.submit(name)
    change = "UPDATE duly.{} SET kind = %(kind)s"
    for table in ("jobs", "outbox_events"):
        by_hand.take(change.format(table), kind=kind_name)
    line.start_relay(queue)
    wait_for("its end", lambda: by_hand.job(job)["state"] == "dead")
    (letter,) = by_hand.letters(job)
    assert (letter["reason"], letter["error_message"]) == ("unpublishable", why)
    assert by_hand.event(job) is None
    assert_served_soon(line, queue)
