"""What becomes of messages and jobs that a worker cannot take."""

from datetime import timedelta
from uuid import uuid4

from pydantic import BaseModel

from outbox import Actor, Job, Kind
from outbox.amqp import messages, topology
from outbox.amqp.messages import Dispatch
from outbox.worker.records import unusable_messages
from tests.integration.engine.refusing import DATA, Refusing
from tests.support.engine.by_hand import ByHand
from tests.support.engine.line import Line, Note, do_nothing, note_kind
from tests.support.engine.rabbit import Rabbit
from tests.support.wait import wait_for


class Strict(BaseModel):
    """The payload of a note as an older release had it."""

    text: int


def say(note: Note, job: Job) -> str:
    """An actor of the newer release."""
    return note.text


def test_a_job_of_an_unknown_kind_waits_for_a_worker_that_knows_it(
    line: Line, by_hand: ByHand, queue: str
) -> None:
    """As in a deployment, while workers of the release before still run."""
    new = note_kind(queue, "test.new")
    line.start_relay(queue)
    line.start_worker(Actor(note_kind(queue), do_nothing))
    job = line.submit(new())
    refusal = wait_for("a refusal", lambda: by_hand.refusal(job))
    assert "does not know its kind" in refusal["why"]
    line.start_worker(Actor(new, do_nothing))
    assert line.wait_for(job, "succeeded").attempt == 1
    assert (line.letters(), line.attempts(job)) == ([], [])


def test_a_job_whose_payload_is_not_understood_waits_for_a_worker_that_does(
    line: Line, by_hand: ByHand, queue: str
) -> None:
    line.start_relay(queue)
    old = line.start_worker(Actor(Kind("test.note", Strict, queue=queue), do_nothing))
    job = line.submit(note_kind(queue)(text="five"))
    refusal = wait_for("a refusal", lambda: by_hand.refusal(job))
    assert "valid integer" in refusal["why"]
    assert "five" not in refusal["why"]
    line.stop_worker(old)
    line.start_worker(Actor(note_kind(queue), say))
    done = line.wait_for(job, "succeeded")
    assert (done.attempt, done.result) == (1, "five")
    assert (line.letters(), line.attempts(job)) == ([], [])


def test_a_job_that_no_worker_has_known_for_too_long_is_dead(
    line: Line, by_hand: ByHand, queue: str
) -> None:
    line.start_relay(queue)
    line.start_worker(Actor(note_kind(queue), do_nothing), patience=timedelta(seconds=1))
    job = line.submit(note_kind(queue, "test.unknown")())
    assert line.wait_for(job, "dead").attempt == 0
    (letter,) = line.letters()
    assert (letter.job_id, letter.reason) == (job, "unknown_kind")
    assert letter.error_message == f"no worker of queue {queue} does test.unknown"
    assert by_hand.refusal(job)
    line.replay(letter.id)
    wait_for("another wait", lambda: by_hand.job(job)["dispatch"] > letter.dispatch + 1)  # type: ignore[operator]


def test_a_foreign_message_is_on_record_before_it_leaves_its_queue(
    line: Line, rabbit: Rabbit, queue: str
) -> None:
    """No relay runs: the worker itself writes it down."""
    rabbit.declare(queue)
    line.start_worker(Actor(note_kind(queue), do_nothing))
    headers = {"x": [1, b"\xff"], "nul \0": "\0"}
    for body in (b"\xff\0 not JSON", b'{"no": "job"}'):
        rabbit.publish(queue, body, headers)
    wait_for("both letters", lambda: len(line.letters()) == 2)
    found = {letter.message_body: letter for letter in line.letters()}
    assert found[b"\xff\0 not JSON"].error_message == "it is not JSON"
    assert found[b'{"no": "job"}'].message_headers == {"x": [1, "b'\\xff'"], "nul \ufffd": "\ufffd"}
    assert {(letter.reason, letter.queue) for letter in line.letters()} == {("malformed", queue)}
    line.stop()
    assert rabbit.depth(queue) == rabbit.depth(topology.dead_letter_queue(queue)) == 0


def test_a_large_foreign_message_is_left_to_the_collector(
    line: Line, rabbit: Rabbit, queue: str
) -> None:
    """Claimer and outcomes do not wait for it."""
    small, large = (
        b"s" * unusable_messages.LARGEST_BODY_BYTES,
        b"l" * (unusable_messages.LARGEST_BODY_BYTES + 1),
    )
    rabbit.declare(queue)
    line.start_worker(Actor(note_kind(queue), do_nothing))
    for body in (large, small, large):
        rabbit.publish(queue, body, {"x": 1})
    wait_for("the small one's letter", line.letters)
    wait_for("the large ones", lambda: rabbit.depth(topology.dead_letter_queue(queue)) == 2)
    assert [letter.message_body for letter in line.letters()] == [small]
    line.start_relay(queue)
    wait_for("all letters", lambda: len(line.letters()) == 3)
    kept = [letter for letter in line.letters() if letter.message_body == large]
    assert [letter.error_message for letter in kept] == ["it is not JSON (RabbitMQ: rejected)"] * 2


def test_a_message_of_a_kind_and_a_job_that_do_not_exist_is_kept(
    line: Line, rabbit: Rabbit, queue: str
) -> None:
    rabbit.declare(queue)
    line.start_relay(queue)
    line.start_worker(Actor(note_kind(queue), do_nothing))
    body = messages.encode(Dispatch(str(uuid4()), 1, "test.unknown", queue))
    rabbit.publish(queue, body)
    wait_for("its letter", lambda: [letter.message_body for letter in line.letters()] == [body])


def test_a_forged_message_puts_off_no_job(
    line: Line, rabbit: Rabbit, by_hand: ByHand, queue: str
) -> None:
    """It lies about the kind, or in the queue of workers that do not know the job's."""
    other = by_hand.submit("another")
    mine = by_hand.submit(queue)
    rabbit.declare(queue)
    line.start_worker(Actor(note_kind(queue, "test.other"), do_nothing), patience=timedelta())
    rabbit.publish(queue, messages.encode(Dispatch(str(other), 1, "test.note", queue)))
    rabbit.publish(queue, messages.encode(Dispatch(str(mine), 1, "test.lie", queue)))
    wait_for("both are refused", lambda: rabbit.depth(topology.dead_letter_queue(queue)) == 2)
    assert [by_hand.job(job)["dispatch"] for job in (other, mine)] == [1, 1]
    assert [by_hand.job(job)["state"] for job in (other, mine)] == ["queued", "queued"]


def test_a_message_that_the_worker_cannot_write_down_is_kept_by_the_relay(
    line: Line, rabbit: Rabbit, refusing: Refusing, queue: str
) -> None:
    refusing.refuse("dead_letters", "new.message_headers ? 'odd'", DATA)
    rabbit.declare(queue)
    line.start_relay(queue)
    line.start_worker(Actor(note_kind(queue), do_nothing))
    rabbit.publish(queue, b"?", {"odd": 1})
    wait_for("its letter", lambda: [each.message_body for each in line.letters()] == [b"?"])
    assert line.letters()[0].error_message == "its headers are unreadable (RabbitMQ: unknown)"
