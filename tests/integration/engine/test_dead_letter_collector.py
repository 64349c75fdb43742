"""What lies in a `.XQ` becomes a dead letter, whoever put it there, and blocks nothing."""

import calendar
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from outbox import Actor, Job, Retry
from outbox.amqp import messages, topology
from outbox.amqp.messages import Dispatch
from outbox.maintenance.dead_letter_consumer import PREFETCH
from outbox.operations.dead_letters import DeadLetter
from outbox.values import depth
from tests.support.engine.by_hand import WAITING, ByHand
from tests.support.engine.line import Line, Note, do_nothing, note_kind
from tests.support.engine.rabbit import Rabbit
from tests.support.network.proxy import Proxy
from tests.support.wait import wait_for


def fail(note: Note, job: Job) -> None:
    """An actor that cannot."""
    raise ValueError("no")


def collected(line: Line) -> DeadLetter:
    """The only dead letter, once it has its message."""

    def letter() -> DeadLetter | None:
        letters = line.letters()
        return letters[0] if letters and letters[0].collected_at else None

    found = wait_for("the letter", letter)
    assert line.letters() == [found]
    return found


@contextmanager
def recursion_to(levels: int) -> Iterator[None]:
    """Lets this test write what Python would not."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(levels)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def bodies(line: Line) -> set[bytes | None]:
    """The messages of all dead letters."""
    return {letter.message_body for letter in line.letters()}


def message(queue: str, **changes: object) -> bytes:
    """A message as we write it, but for the changes."""
    fields = json.loads(messages.encode(Dispatch(str(uuid4()), 1, "test.note", queue)))
    return json.dumps(fields | changes).encode()


def test_a_dead_jobs_message_joins_its_letter(line: Line, rabbit: Rabbit, queue: str) -> None:
    kind = note_kind(queue, retry=Retry(attempts=1))
    line.start_relay(queue)
    line.start_worker(Actor(kind, fail))
    job = line.submit(kind())
    letter = collected(line)

    assert (letter.job_id, letter.reason, letter.error_message) == (job, "exhausted", "no")
    assert messages.decode(letter.message_body or b"", queue) == Dispatch(
        str(job), 1, kind.name, queue
    )
    assert letter.message_headers["x-death"][0]["reason"] == "rejected"
    line.stop()
    assert rabbit.depth(topology.dead_letter_queue(queue)) == 0


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"queue_name": "another"}, "its queue_name is not the queue that it came from"),
        ({"kwargs": {"x": 1}}, "it has kwargs or options"),
        ({"options": {"eta": 1}}, "it has kwargs or options"),
        ({"args": ["no", "job"]}, "its args are not a job's id and dispatch"),
        ({"actor_name": "nul \0"}, "its actor_name is not the name of a kind"),
        ({"actor_name": "half a pair \ud800"}, "its actor_name is not the name of a kind"),
        ({"and": "more"}, "its keys are not those of a job's message"),
    ],
)
def test_a_message_that_we_did_not_write_is_kept_with_its_reason(
    line: Line, rabbit: Rabbit, queue: str, changes: dict[str, Any], why: str
) -> None:
    rabbit.declare(queue)
    line.start_relay(queue)
    line.start_worker(Actor(note_kind(queue), do_nothing))
    body = message(queue, **changes)
    rabbit.publish(queue, body)
    letter = collected(line)
    assert (letter.job_id, letter.queue, letter.message_body) == (None, queue, body)
    assert why in (letter.error_message or "")


@pytest.mark.parametrize("body", [b"", b"\xff\0 not JSON", b"[]", b"[" * 100_000])
def test_bytes_that_are_no_message_are_kept(
    line: Line, rabbit: Rabbit, queue: str, body: bytes
) -> None:
    rabbit.declare(queue)
    line.start_relay(queue)
    line.start_worker(Actor(note_kind(queue), do_nothing))
    rabbit.publish(queue, body)
    letter = collected(line)
    assert (letter.reason, letter.message_body) == ("malformed", body)
    assert (letter.error_message or "").startswith("it is not JSON") or body == b"[]"


STRANGE_HEADERS: list[dict[str, Any]] = [
    {"x-death": "yesterday"},
    {"x-death": []},
    {"x-death": ["yesterday"]},
    {"x-death": [{"queue": "q"}]},
    {"x-death": {"reason": "rejected"}},
    {"nul \0": ["nul \0", {"deeper": "\0"}]},
    {"bytes": b"\xff\xfe", "nothing": None},
    {"list": [1, b"\xff"], "deep": {"when": datetime(2026, 1, 1, tzinfo=UTC)}},
]


@pytest.mark.parametrize("headers", STRANGE_HEADERS)
def test_no_headers_keep_a_message_from_being_kept(
    line: Line, rabbit: Rabbit, queue: str, headers: dict[str, Any]
) -> None:
    rabbit.declare(queue)
    rabbit.publish(topology.dead_letter_queue(queue), b"?", headers)
    line.start_relay(queue)
    assert set(collected(line).message_headers) == {key.replace("\0", "\ufffd") for key in headers}


def test_a_message_that_names_no_job_of_ours_is_kept(
    line: Line, rabbit: Rabbit, queue: str
) -> None:
    rabbit.declare(queue)
    rabbit.publish(topology.dead_letter_queue(queue), message(queue))
    line.start_relay(queue)
    letter = collected(line)
    assert letter.job_id is None
    assert "it names a job that does not exist" in (letter.error_message or "")


def test_malformed_messages_block_no_job_behind_them(
    line: Line, rabbit: Rabbit, queue: str
) -> None:
    kind = note_kind(queue)
    rabbit.declare(queue)
    for n in range(200):
        rabbit.publish(queue, b"?" if n % 2 else message("another"))
    jobs = [line.submit(kind()) for _ in range(10)]
    line.start_relay(queue, window=1000)
    line.start_worker(Actor(kind, do_nothing))
    for job in jobs:
        line.wait_for(job, "succeeded")
    wait_for("all letters", lambda: len(line.letters()) == 200)


def test_a_message_of_a_job_that_has_moved_on_is_forgotten(
    line: Line, rabbit: Rabbit, by_hand: ByHand, queue: str
) -> None:
    consumer = topology.dead_letter_queue(queue)
    job = by_hand.submit(queue)
    by_hand.publish(job)
    by_hand.claim(job)
    by_hand.succeed(job)
    rabbit.declare(queue)
    rabbit.publish(consumer, messages.encode(Dispatch(str(job), 1, "test.note", queue)))
    rabbit.publish(consumer, b"the next one")
    line.start_relay(queue)
    assert collected(line).message_body == b"the next one"
    line.stop()
    assert (rabbit.depth(consumer), by_hand.job(job)["state"]) == (0, "succeeded")


def test_what_was_not_acknowledged_before_a_cut_is_collected_after_it(
    line: Line, rabbit: Rabbit, proxy: Proxy, amqp_url: str, queue: str
) -> None:
    rabbit.declare(queue)
    line.start_relay(queue, amqp_url=proxy.url(amqp_url))
    for n in range(60):
        if n % 20 == 10:
            wait_for("a connection", lambda: proxy.is_used)
            proxy.cut()
        rabbit.publish(topology.dead_letter_queue(queue), f"{n}".encode())
    wait_for("all bodies", lambda: bodies(line) == {f"{n}".encode() for n in range(60)})
    line.stop()
    assert rabbit.depth(topology.dead_letter_queue(queue)) == 0


def test_a_cut_while_a_letter_is_written_ends_nothing(
    line: Line,
    rabbit: Rabbit,
    proxy: Proxy,
    amqp_url: str,
    by_hand: ByHand,
    other_hand: ByHand,
    queue: str,
) -> None:
    consumer = topology.dead_letter_queue(queue)
    rabbit.declare(queue)
    with other_hand.connection.transaction():
        other_hand.take("LOCK TABLE duly.dead_letters IN EXCLUSIVE MODE")
        line.start_relay(queue, amqp_url=proxy.url(amqp_url))
        rabbit.publish(consumer, b"the first")
        wait_for("a letter that is blocked", lambda: by_hand.take(WAITING))
        proxy.cut()
        wait_for("the relay to connect again", lambda: proxy.is_used)
    rabbit.publish(consumer, b"the next one")
    wait_for("both", lambda: bodies(line) == {b"the first", b"the next one"})


def test_a_queue_that_only_a_worker_names_is_collected_from(
    line: Line, rabbit: Rabbit, queue: str
) -> None:
    """As after a restart of the relay: nothing of it is left in the outbox."""
    rabbit.declare(queue)  # not beside the worker: what is published meanwhile may be lost
    rabbit.publish(topology.dead_letter_queue(queue), b"foreign")
    line.start_worker(Actor(note_kind(queue), do_nothing))
    line.start_relay()
    assert collected(line).queue == queue


def test_few_messages_are_in_memory_at_once(
    line: Line, rabbit: Rabbit, by_hand: ByHand, other_hand: ByHand, queue: str
) -> None:
    rabbit.declare(queue)
    consumer = topology.dead_letter_queue(queue)
    for _ in range(25):
        rabbit.publish(consumer, b"large, perhaps")
    with other_hand.connection.transaction():
        other_hand.take("LOCK TABLE duly.dead_letters IN EXCLUSIVE MODE")
        line.start_relay(queue)
        wait_for("a letter that is blocked", lambda: by_hand.take(WAITING))
        assert rabbit.depth(consumer) == 25 - PREFETCH
    wait_for("all letters", lambda: len(line.letters()) == 25)


def test_a_message_that_dying_consumers_dropped_too_often_is_published_again(
    line: Line, rabbit: Rabbit, by_hand: ByHand, queue: str
) -> None:
    job = by_hand.submit(queue)
    by_hand.publish(job)
    rabbit.declare(queue)
    rabbit.publish(queue, messages.encode(Dispatch(str(job), 1, "test.note", queue)))
    rabbit.drop_until_dead(queue)
    line.start_relay(queue)
    line.start_worker(Actor(note_kind(queue), do_nothing))
    assert line.wait_for(job, "succeeded").attempt == 1
    assert line.letters() == []


@pytest.mark.parametrize("levels", [90, 600, 5000])
def test_headers_that_are_nested_deeply_are_cut_where_they_are_too_deep(
    line: Line, rabbit: Rabbit, queue: str, levels: int
) -> None:
    rabbit.declare(queue)
    line.start_relay(queue)
    headers: dict[str, Any] = {}
    with recursion_to(100_000):
        for _ in range(levels):
            headers = {"a": headers}
        rabbit.publish(topology.dead_letter_queue(queue), b"?", headers | {"beside": 1})
    kept = collected(line).message_headers
    assert kept.pop("beside") == 1
    for _ in range(depth.DEEPEST):
        kept = kept["a"]
    assert kept == depth.CUT


def test_a_reason_that_rabbitmq_does_not_give_is_not_repeated(
    line: Line, rabbit: Rabbit, queue: str
) -> None:
    rabbit.declare(queue)
    line.start_relay(queue)
    forged = {"x-death": [{"reason": "\x1b[2Jexpired"}]}
    rabbit.publish(topology.dead_letter_queue(queue), b"?", forged)
    assert collected(line).error_message == "it is not JSON (RabbitMQ: unknown)"


def test_headers_that_pika_cannot_decode_stop_nothing(
    line: Line, rabbit: Rabbit, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rabbit.declare(queue)
    with monkeypatch.context() as patch:  # what another publisher's library may well send
        patch.setattr(calendar, "timegm", lambda _: 2**60)
        poison = {"x": datetime(2026, 1, 1, tzinfo=UTC)}
        rabbit.publish(topology.dead_letter_queue(queue), b"poison", poison)
    rabbit.publish(topology.dead_letter_queue(queue), b"behind it")
    line.start_relay(queue)
    wait_for("both letters", lambda: bodies(line) == {b"poison", b"behind it"})


DEATH = {"x-death": [{"reason": "rejected", "queue": "q", "count": 1}]}


@pytest.mark.parametrize("headers", [{}, DEATH], ids=["put there", "with a forged history"])
def test_a_message_that_anybody_put_into_an_intake_kills_no_job(
    line: Line, rabbit: Rabbit, by_hand: ByHand, queue: str, headers: dict[str, Any]
) -> None:
    job = by_hand.submit(queue)
    by_hand.publish(job)
    rabbit.declare(queue)
    consumer = topology.dead_letter_queue(queue)
    rabbit.publish(consumer, messages.encode(Dispatch(str(job), 1, "test.note", queue)), headers)
    rabbit.publish(consumer, b"behind it")
    line.start_relay(queue)
    wait_for("the letter", lambda: len(line.letters()) == 1)
    assert by_hand.job(job)["state"] == "queued"
    line.start_worker(Actor(note_kind(queue), do_nothing))
    assert line.wait_for(job, "succeeded").attempt == 1
    assert len(line.letters()) == 1


def test_a_job_that_a_worker_of_an_earlier_release_rejected_is_published_again(
    line: Line, rabbit: Rabbit, by_hand: ByHand, queue: str
) -> None:
    job = by_hand.submit(queue)
    by_hand.publish(job)
    rabbit.declare(queue)
    rabbit.publish(queue, messages.encode(Dispatch(str(job), 1, "test.note", queue)))
    rabbit.refuse(queue)
    line.start_relay(queue)
    event = wait_for("its event", lambda: by_hand.event(job))
    assert event["available_at"] > by_hand.job(job)["run_at"] + timedelta(seconds=4)
    assert (by_hand.job(job)["state"], line.letters()) == ("queued", [])
