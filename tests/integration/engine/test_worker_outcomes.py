import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel, field_validator

from outbox import Actor, Job, Kind, Retry, Snooze, Uncertain
from outbox.worker.broker import Consumer
from outbox.worker.records.failure_record import FailureRecorder
from outbox.worker.worker import Worker
from tests.integration.engine.refusing import DATA, Refusing
from tests.support.engine.line import AT_ONCE, Line, Note, do_nothing, note_kind
from tests.support.wait import wait_for

Failing = Callable[[Note, Job], Any]


def consumer_of(worker: Worker, queue: str) -> Consumer:
    """The worker's consumer of the queue, as it is now."""
    consumer = worker._worker.consumers[queue].consumer
    assert isinstance(consumer, Consumer)
    return consumer


def test_what_the_actor_returns_is_the_result(line: Line, queue: str) -> None:
    kind = note_kind(queue)
    line.start_relay(queue)
    line.start_worker(Actor(kind, lambda note, job: {"said": note.text, "attempt": job.attempt}))

    job = line.wait_for(line.submit(kind(text="hello")), "succeeded")

    assert job.result == {"said": "hello", "attempt": 1}
    assert job.started_at is not None
    assert job.finished_at is not None
    assert job.created_at <= job.started_at <= job.finished_at


def test_a_failed_job_is_tried_again_until_it_succeeds(line: Line, queue: str) -> None:
    def do(note: Note, job: Job) -> str:
        if job.attempt < 3:
            raise ValueError(f"not in attempt {job.attempt}")
        return "at last"

    kind = note_kind(queue)
    line.start_relay(queue)
    line.start_worker(Actor(kind, do))
    job = line.wait_for(line.submit(kind()), "succeeded")

    assert (job.attempt, job.dispatch, job.result) == (3, 3, "at last")
    said = [(each.attempt, each.outcome, each.error_message) for each in line.attempts(job.id)]
    assert said == [(1, "failed", "not in attempt 1"), (2, "failed", "not in attempt 2")]


def test_a_dead_letter_says_why_and_so_does_each_attempt(line: Line, queue: str) -> None:
    def do(note: Note, job: Job) -> None:
        raise ValueError(f"attempt {job.attempt}") from KeyError("the cause")

    kind = note_kind(queue)
    line.start_relay(queue)
    worker = line.start_worker(Actor(kind, do))
    job = line.wait_for(line.submit(kind()), "dead")

    (letter,) = line.letters()
    assert (letter.job_id, letter.dispatch) == (job.id, job.dispatch)
    assert (letter.reason, letter.error_type) == ("exhausted", "ValueError")
    assert letter.error_message == "attempt 3"
    attempts = line.attempts(job.id)
    assert [attempt.error_message for attempt in attempts] == [f"attempt {n}" for n in (1, 2, 3)]
    for attempt in attempts:
        assert (attempt.worker, attempt.error_type) == (worker.name, "ValueError")
        assert attempt.traceback is not None
        assert "KeyError: 'the cause'" in attempt.traceback
        assert 'raise ValueError(f"attempt' in attempt.traceback


def test_an_error_not_worth_another_attempt_is_death_at_once(line: Line, queue: str) -> None:
    def do(note: Note, job: Job) -> None:
        raise LookupError("void")

    kind = note_kind(queue, retry=Retry(attempts=9, never=(LookupError,)))
    line.start_relay(queue)
    line.start_worker(Actor(kind, do))
    job = line.wait_for(line.submit(kind()), "dead")
    assert (job.attempt, line.letters()[0].reason) == (1, "refused")


def test_an_uncertain_outcome_is_repeated_as_often_as_the_kind_says(line: Line, queue: str) -> None:
    def do(note: Note, job: Job) -> None:
        raise Uncertain(f"answer {job.attempt} is lost")

    kind = note_kind(queue, retry=Retry(attempts=9, first=timedelta(), uncertain=2))
    line.start_relay(queue)
    line.start_worker(Actor(kind, do))
    job = line.wait_for(line.submit(kind()), "dead")

    assert [each.outcome for each in line.attempts(job.id)] == ["uncertain"] * 3
    (letter,) = line.letters()
    assert (letter.reason, letter.error_message) == ("uncertain", "answer 3 is lost")

    line.replay(letter.id)
    wait_for("the second death", lambda: len(line.letters()) == 2)
    assert [each.outcome for each in line.attempts(job.id)] == ["uncertain"] * 6


def test_other_failures_are_no_uncertain_ones(line: Line, queue: str) -> None:
    def do(note: Note, job: Job) -> None:
        raise Uncertain("lost") if job.attempt == 2 else ValueError("failed")

    kind = note_kind(queue, retry=Retry(attempts=4, first=timedelta(), uncertain=1))
    line.start_relay(queue)
    line.start_worker(Actor(kind, do))
    job = line.wait_for(line.submit(kind()), "dead")
    outcomes = [each.outcome for each in line.attempts(job.id)]
    assert outcomes == ["failed", "uncertain", "failed", "failed"]
    assert line.letters()[0].reason == "exhausted"


def test_a_snooze_costs_no_attempt(line: Line, queue: str) -> None:
    def do(note: Note, job: Job) -> int:
        if job.dispatch < 5:
            raise Snooze(timedelta(), "not ready")
        return job.attempt

    kind = note_kind(queue, retry=Retry(attempts=1))
    line.start_relay(queue)
    line.start_worker(Actor(kind, do))
    job = line.wait_for(line.submit(kind()), "succeeded")
    assert (job.dispatch, job.attempt, job.result) == (5, 1, 1)
    assert line.attempts(job.id) == []


def test_a_job_may_be_snoozed_for_ever(line: Line, queue: str) -> None:
    def do(note: Note, job: Job) -> None:
        raise Snooze(timedelta.max)

    kind = note_kind(queue)
    line.start_relay(queue)
    line.start_worker(Actor(kind, do))
    job = line.submit(kind())
    wait_for("the retry", lambda: line.job(job).dispatch == 2)
    assert (line.job(job).state, line.job(job).attempt) == ("queued", 0)


def test_a_snooze_into_the_past_runs_the_job_at_once(line: Line, queue: str) -> None:
    def do(note: Note, job: Job) -> None:
        if job.dispatch == 1:
            raise Snooze(timedelta(days=-3_000_000))

    kind = note_kind(queue)
    line.start_relay(queue)
    line.start_worker(Actor(kind, do))
    assert line.wait_for(line.submit(kind()), "succeeded").dispatch == 2


def test_an_error_that_fails_to_say_its_delay_is_retried(line: Line, queue: str) -> None:
    class Busy(Exception):
        @property
        def retry_in(self) -> timedelta:
            return timedelta(seconds=int("Wed, 21 Oct 2015 07:28:00 GMT"))

    def do(note: Note, job: Job) -> None:
        raise Busy

    kind = note_kind(queue)
    line.start_relay(queue)
    line.start_worker(Actor(kind, do))
    job = line.wait_for(line.submit(kind()), "dead")
    assert [each.error_type.rpartition(".")[2] for each in line.attempts(job.id)] == ["Busy"] * 3


def test_an_attempt_past_its_time_limit_is_ended_and_retried(line: Line, queue: str) -> None:
    def do(note: Note, job: Job) -> str:
        while job.attempt == 1:
            pass
        return "in time"

    kind = note_kind(queue, time_limit=timedelta(milliseconds=50))
    line.start_relay(queue)
    line.start_worker(Actor(kind, do))
    job = line.wait_for(line.submit(kind()), "succeeded")
    (attempt,) = line.attempts(job.id)
    assert (attempt.outcome, attempt.error_type) == ("timed_out", "TimeLimitExceeded")


def test_a_payload_that_no_worker_has_understood_for_too_long_is_death(
    line: Line, queue: str
) -> None:
    class Strict(BaseModel):
        """What a later release makes of the payload."""

        text: int

    ran = threading.Event()
    line.start_relay(queue)
    strict = Actor(Kind("test.note", Strict, queue=queue), lambda *_: ran.set())
    line.start_worker(strict, patience=timedelta())
    job = line.wait_for(line.submit(note_kind(queue)(text="five")), "dead")

    (letter,) = line.letters()
    assert (letter.reason, job.attempt, ran.is_set()) == ("invalid_payload", 1, False)
    assert "valid integer" in (letter.error_message or "")
    assert "five" not in (letter.error_message or "")


def test_so_is_a_payload_whose_validation_fails_otherwise(line: Line, queue: str) -> None:
    class Brittle(BaseModel):
        """What a later release makes of the payload, without a thought of the old form."""

        text: str

        @field_validator("text", mode="before")
        @classmethod
        def of_body(cls, value: Any) -> Any:
            return {"hello": "you"}[value]

    line.start_relay(queue)
    brittle = Actor(Kind("test.note", Brittle, queue=queue), do_nothing)
    line.start_worker(brittle, patience=timedelta())
    job = line.wait_for(line.submit(note_kind(queue)(text="five")), "dead")
    (letter,) = line.letters()
    assert (letter.reason, letter.error_type, job.attempt) == ("invalid_payload", "KeyError", 1)


def test_a_payload_that_is_validated_for_ever_is_timed_out(line: Line, queue: str) -> None:
    class Endless(BaseModel):
        """A later release's, with a bug."""

        text: str

        @field_validator("text")
        @classmethod
        def looped(cls, value: str) -> str:
            while value:
                pass
            return value

    soon = timedelta(milliseconds=50)
    kind = Kind("test.note", Endless, queue=queue, time_limit=soon, retry=AT_ONCE)
    line.start_relay(queue)
    line.start_worker(Actor(kind, do_nothing))
    job = line.wait_for(line.submit(note_kind(queue)(text="five")), "dead")
    assert [each.outcome for each in line.attempts(job.id)] == ["timed_out"] * 3


class Mute(Exception):
    """Cannot even say what it is."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


class Unspeakable(Exception):
    """Ends the process that looks at it, or would."""

    def __str__(self) -> str:
        raise SystemExit("no words")


def raise_unspeakable(note: Note, job: Job) -> None:
    """An error that cannot be told at all."""
    raise Unspeakable


def raise_misnamed(note: Note, job: Job) -> None:
    """An error of a class whose name Postgres cannot keep."""
    misnamed = type("Misnamed", (Exception,), {})
    misnamed.__qualname__ = "mis\0\ud800named"
    raise misnamed("x")


def exit_the_process(note: Note, job: Job) -> None:
    """As a library does that takes itself for a program."""
    raise SystemExit(1)


def raise_mute(note: Note, job: Job) -> None:
    """An error whose text is an error."""
    raise Mute


def raise_nul(note: Note, job: Job) -> None:
    """An error whose text Postgres cannot keep."""
    raise ValueError("nul \0, half a pair \ud800, and a € more")


def raise_much(note: Note, job: Job) -> None:
    """An error that quotes a whole file."""
    raise ValueError("x" * 1_000_000)


@pytest.mark.parametrize(
    ("do", "error_type", "text"),
    [
        (exit_the_process, "SystemExit", "1"),
        (raise_unspeakable, "Unknown", "how it ended cannot be told"),
        (raise_misnamed, "mis\\x00\\ud800named", "x"),
        (raise_mute, "Mute", "its text raises RuntimeError"),
        (raise_nul, "ValueError", "nul \\x00, half a pair \\ud800, and a € more"),
        (raise_much, "ValueError", "x" * 10_000),
    ],
)
def test_whatever_is_raised_is_recorded(
    line: Line, queue: str, do: Failing, error_type: str, text: str
) -> None:
    kind = note_kind(queue, retry=Retry(attempts=1))
    line.start_relay(queue)
    worker = line.start_worker(Actor(kind, do), threads=1)
    line.wait_for(line.submit(kind()), "dead")

    (letter,) = line.letters()
    assert letter.error_type == error_type
    assert (letter.error_message or "").startswith(text)
    assert len(letter.error_message or "") <= 10_000
    assert worker.is_whole


def test_what_cannot_be_told_is_retried_like_any_failure(
    line: Line, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Retry, "backoff", lambda *_: timedelta())
    kind = note_kind(queue, retry=Retry(attempts=3))
    line.start_relay(queue)
    line.start_worker(Actor(kind, raise_unspeakable))
    job = line.wait_for(line.submit(kind()), "dead")
    assert [each.error_type for each in line.attempts(job.id)] == ["Unknown"] * 3
    assert line.letters()[0].reason == "exhausted"


def test_a_record_whose_texts_postgres_cannot_keep_is_made_without_them(
    line: Line, queue: str, refusing: Refusing
) -> None:
    def do(note: Note, job: Job) -> None:
        raise LookupError

    kind = note_kind(queue, retry=Retry(attempts=9, never=(LookupError,)))
    refusing.refuse("attempts", "new.error_type = 'LookupError'", DATA)
    line.start_relay(queue)
    line.start_worker(Actor(kind, do))
    job = line.wait_for(line.submit(kind()), "dead")
    (letter,) = line.letters()
    assert (letter.reason, letter.error_type, job.attempt) == ("refused", "Unknown", 1)


def test_a_result_that_only_postgres_refuses_is_death_at_once(
    line: Line, queue: str, refusing: Refusing
) -> None:
    kind = note_kind(queue)
    refusing.refuse("jobs", "new.result = '7'", DATA)
    line.start_relay(queue)
    line.start_worker(Actor(kind, lambda *_: 7))
    job = line.wait_for(line.submit(kind()), "dead")
    (letter,) = line.letters()
    assert (letter.reason, letter.error_type, job.attempt) == ("refused", "UnstorableResult", 1)


def test_a_job_whose_result_is_refused_answers_its_message_once(
    line: Line, queue: str, refusing: Refusing
) -> None:
    """Twice, and RabbitMQ would close the channel: the consumer would be another."""
    kind = note_kind(queue)
    refusing.refuse("jobs", "new.result = '7'", DATA)
    line.start_relay(queue)
    worker = line.start_worker(Actor(kind, lambda note, _: 7 if note.text == "seven" else 8))
    line.wait_for(line.submit(kind(text="eight")), "succeeded")
    consumer = consumer_of(worker, queue)
    line.wait_for(line.submit(kind(text="seven")), "dead")
    line.wait_for(line.submit(kind(text="eight")), "succeeded")
    wait_for("the message's bytes", lambda: line.letters()[0].message_body)
    wait_for("its answers", lambda: not consumer.answers.unanswered)
    assert consumer_of(worker, queue) is consumer


def test_a_job_that_is_retried_since_its_refused_result_cannot_be_told_has_its_message_acknowledged(
    line: Line,
    queue: str,
    refusing: Refusing,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kind = note_kind(queue, retry=Retry(attempts=2))
    refusing.refuse("jobs", "new.result = '7'", DATA)
    monkeypatch.setattr(FailureRecorder, "record", raise_unspeakable)
    line.start_relay(queue)
    worker = line.start_worker(Actor(kind, lambda *_: 7))
    assert line.wait_for(line.submit(kind()), "dead").attempt == 2
    consumer = consumer_of(worker, queue)
    wait_for("the answers to both", lambda: not consumer.answers.unanswered)


@pytest.mark.parametrize("result", [object(), float("nan"), "nul \0", "half a pair \ud800", {1, 2}])
@pytest.mark.parametrize("way", ["returned", "in its transaction"])
def test_a_result_that_cannot_be_kept_is_death_at_once(
    line: Line, queue: str, result: object, way: str
) -> None:
    def do(note: Note, job: Job) -> Any:
        if way == "returned":
            return result
        with job.transaction():
            job.result = result
        return None

    kind = note_kind(queue, retry=AT_ONCE)
    line.start_relay(queue)
    line.start_worker(Actor(kind, do))
    job = line.wait_for(line.submit(kind()), "dead")
    assert (job.attempt, line.letters()[0].reason) == (1, "refused")


def test_a_dead_job_can_be_replayed_once_its_cause_is_mended(line: Line, queue: str) -> None:
    mended = threading.Event()

    def do(note: Note, job: Job) -> str:
        if not mended.is_set():
            raise ValueError("broken")
        return "mended"

    kind = note_kind(queue)
    line.start_relay(queue)
    line.start_worker(Actor(kind, do))
    job = line.submit(kind())
    line.wait_for(job, "dead")
    mended.set()
    line.replay(line.letters()[0].id)

    replayed = line.wait_for(job, "succeeded")
    assert (replayed.attempt, replayed.attempt_limit, replayed.result) == (4, 6, "mended")
    assert len(line.attempts(job)) == 3
    assert line.letters()[0].resolution == "replayed"


@pytest.mark.parametrize("attempts", [1, 2])
def test_a_running_job_that_is_cancelled_is_not_tried_again(
    line: Line, queue: str, attempts: int
) -> None:
    running, go_on = threading.Event(), threading.Event()

    def do(note: Note, job: Job) -> None:
        running.set()
        go_on.wait(10)
        raise ValueError("in vain")

    kind = note_kind(queue, retry=Retry(attempts=attempts, first=timedelta()))
    line.start_relay(queue)
    line.start_worker(Actor(kind, do))
    job = line.submit(kind())
    running.wait(10)
    assert line.cancel(job) == "running"
    go_on.set()
    assert line.wait_for(job, "cancelled").attempt == 1
    assert line.letters() == []
