"""What an error means, and which rows are written in which order: the rules, without any I/O."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.errors import UntranslatableCharacter
from pydantic import BaseModel

from outbox import Actor, Job, Kind, Retry, Snooze, Uncertain, errors
from outbox.errors import Interrupted, TimeLimitExceeded
from outbox.events import (
    Cancelled,
    Died,
    Event,
    Failed,
    Retried,
    Snoozed,
    Started,
    Succeeded,
    Superseded,
    on,
)
from outbox.postgres.outages import OWN_ENGINE
from outbox.store import transitions
from outbox.worker.attempts.attempt import OUTAGE_SPREADS_SECONDS, Attempt, Pause, Write, take
from outbox.worker.records.group_commit import GroupCommitClosed
from outbox.worker.records.statements import PROBE

WRITTEN = SimpleNamespace(n=1, uncertain=0, state="queued")
UNWANTED = SimpleNamespace(n=1, state="cancelled")


class Empty(BaseModel):
    """A payload."""


@dataclass
class Claim:
    """A claim's row: the first of three attempts."""

    attempt: int = 1
    attempt_limit: int = 3
    attempt_budget: int = 3
    subject: str | None = None
    batch_id: UUID | None = None
    payload: Mapping[str, Any] = field(default_factory=dict)
    checkpoint: Any = None
    keys: Sequence[str] | None = None
    late_seconds: float = 0.0
    dead_seconds: float | None = None
    trace: str | None = None
    attempt_trace: str | None = None


class Postgres:
    """Answers the steps of an attempt, one after the other; the last answer is for all others."""

    def __init__(self, *answers: Any, lost_at: float = -1) -> None:
        self._answers = [*answers]
        self.lost_at = lost_at
        self.steps: list[Write | Pause] = []
        self.wake_ups = 0

    def notify(self, _: str) -> None:
        """Count it."""
        self.wake_ups += 1

    def answer(self, step: Write | Pause) -> Any:
        """What Postgres says to the step."""
        self.steps.append(step)
        if isinstance(step, Pause):
            return None
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]

    @property
    def written(self) -> list[str]:
        """The statements, in order."""
        return [step.statement for step in self.steps if isinstance(step, Write)]

    @property
    def last_row(self) -> dict[str, Any]:
        """The row of the last one."""
        return next(step.row for step in reversed(self.steps) if isinstance(step, Write))


def attempt(postgres: Postgres, claim: Claim | None = None, **options: Any) -> Attempt:
    """One whose actor has begun, with a valid payload."""
    kind = Kind("test.rules", Empty, **options)
    job = Job(uuid4(), kind.name, 1, (claim or Claim()).attempt, 3, "worker", None)
    actor = Actor(kind, lambda *_: None)
    made = Attempt(actor, job, "mail", claim or Claim(), postgres, timedelta(hours=1))
    made.events.started()
    made.payload()
    return made


def fail(error: BaseException, postgres: Postgres, claim: Claim | None = None, **of: Any) -> bool:
    """The attempt fails; returns whether the job is dead."""
    return take(attempt(postgres, claim, **of).failed(error), postgres.answer)


def own(error: BaseException) -> BaseException:
    """The error as one of the worker's own engine."""
    error.add_note(OWN_ENGINE)
    return error


@pytest.mark.parametrize(
    ("error", "claim", "options", "statement", "is_dead"),
    [
        (ValueError(), Claim(), {}, transitions.RETRY, False),
        (TimeLimitExceeded(), Claim(), {}, transitions.RETRY, False),
        (ValueError(), Claim(attempt=3), {}, transitions.DIE, True),
        (ValueError(), Claim(), {"retry": Retry(never=(ValueError,))}, transitions.DIE, True),
        (SystemExit(1), Claim(), {}, transitions.DIE, True),
        (Snooze(timedelta(minutes=1)), Claim(attempt=3), {}, transitions.SNOOZE, False),
    ],
)
def test_an_error_is_one_transition(
    error: BaseException, claim: Claim, options: dict[str, Any], statement: str, *, is_dead: bool
) -> None:
    postgres = Postgres(WRITTEN)
    assert fail(error, postgres, claim, **options) is is_dead
    assert postgres.written == [statement]
    assert postgres.wake_ups == (statement == transitions.RETRY)


@pytest.mark.parametrize("error", [errors.Superseded(), Interrupted()])
def test_a_job_that_is_no_longer_ours_gets_no_record(error: BaseException) -> None:
    postgres = Postgres(WRITTEN)
    assert not fail(error, postgres)
    assert postgres.steps == []


@pytest.mark.parametrize(("earlier", "then"), [(0, transitions.RETRY), (1, transitions.DIE)])
def test_earlier_uncertain_attempts_are_counted_first(earlier: int, then: str) -> None:
    postgres = Postgres(SimpleNamespace(uncertain=earlier), WRITTEN)
    fail(Uncertain(), postgres)
    assert postgres.written == [transitions.COUNT_UNCERTAIN, then]


@pytest.mark.parametrize(("is_lost", "then"), [(True, "SNOOZE"), (False, "RETRY")])
def test_postgres_was_away_only_if_the_group_commit_has_lost_it_too(
    then: str, *, is_lost: bool
) -> None:
    """It is given a moment to notice, and asked to write."""
    postgres = Postgres(WRITTEN, lost_at=float("inf") if is_lost else float("-inf"))
    fail(own(psycopg.OperationalError("gone")), postgres)
    assert postgres.steps[:2] == [Pause(OUTAGE_SPREADS_SECONDS), Write(PROBE, {})]
    assert postgres.written[1:] == [getattr(transitions, then)]


def test_a_failure_that_postgres_cannot_store_is_recorded_without_its_text() -> None:
    postgres = Postgres(UntranslatableCharacter("no"), WRITTEN)
    assert not fail(TimeLimitExceeded("odd"), postgres)
    assert postgres.written == [transitions.RETRY] * 2
    assert (postgres.last_row["outcome"], postgres.last_row["error_type"]) == (
        "timed_out",
        "Unknown",
    )


def test_whatever_the_retry_policy_raises_the_failure_is_recorded() -> None:
    class Odd(Exception):
        def __str__(self) -> str:
            raise SystemExit

    postgres = Postgres(WRITTEN)
    assert not fail(Odd(), postgres)
    assert postgres.written == [transitions.RETRY]
    assert postgres.last_row["error_type"] == "Unknown"


def test_a_worker_that_stops_before_the_record_is_no_failure_of_the_job() -> None:
    postgres = Postgres(GroupCommitClosed())
    with pytest.raises(GroupCommitClosed):
        fail(ValueError(), postgres)
    assert len(postgres.steps) == 1


@pytest.mark.parametrize(
    ("postponed", "written"),
    [(WRITTEN, ["POSTPONE"]), (None, ["POSTPONE", "DIE"])],
)
def test_an_invalid_payload_is_put_off_until_it_dies(postponed: Any, written: list[str]) -> None:
    class Strict(BaseModel):
        number: int

    postgres = Postgres(postponed, WRITTEN)
    kind = Kind("test.rules", Strict)
    job = Job(UUID(int=1), kind.name, 1, 1, 3, "worker", None)
    actor = Actor(kind, lambda *_: None)
    made = Attempt(actor, job, "mail", Claim(), postgres, timedelta(hours=1))
    with pytest.raises(ValueError) as invalid:
        made.payload()
    assert take(made.failed(invalid.value), postgres.answer) is (postponed is None)
    assert postgres.written == [getattr(transitions, name) for name in written]


@pytest.mark.parametrize(
    ("returned", "set_before", "stored"), [(1, None, "1"), (None, 2, "2"), (None, None, None)]
)
def test_the_result_is_what_is_returned_or_was_set(
    returned: Any, set_before: Any, stored: str | None
) -> None:
    made = attempt(Postgres(WRITTEN))
    made.job.result = set_before
    row = made.succeeded(returned)
    assert row
    assert row["result"] == stored


@pytest.fixture
def heard() -> Iterator[list[Any]]:
    """All events of the test, in order."""
    found: list[Event] = []
    end = on(Event, found.append)
    yield found
    end()


@pytest.mark.parametrize(
    ("error", "answer", "told"),
    [
        (ValueError(), WRITTEN, [Failed, Retried]),
        (ValueError(), UNWANTED, [Failed, Cancelled]),
        (ValueError(), None, [Superseded]),
        (SystemExit(1), WRITTEN, [Failed, Died]),
        (SystemExit(1), UNWANTED, [Failed, Cancelled]),
        (SystemExit(1), None, [Superseded]),
        (Snooze(timedelta()), WRITTEN, [Snoozed]),
        (Snooze(timedelta()), UNWANTED, [Cancelled]),
        (errors.Superseded(), WRITTEN, [Superseded]),
        (Interrupted(), WRITTEN, [Superseded]),
    ],
)
def test_what_is_recorded_is_told(
    error: BaseException, answer: Any, told: list[type], heard: list[Any]
) -> None:
    fail(error, Postgres(answer))
    assert [type(each) for each in heard] == [Started, *told]


def test_nothing_is_told_of_what_postgres_did_not_answer(heard: list[Any]) -> None:
    with pytest.raises(GroupCommitClosed):
        fail(ValueError(), Postgres(GroupCommitClosed()))
    assert [type(each) for each in heard] == [Started]


def test_a_failure_is_told_with_what_it_was_and_what_follows(heard: list[Any]) -> None:
    error = TimeLimitExceeded("too slow")
    error.retry_in = timedelta(minutes=1)  # type: ignore[attr-defined]
    fail(error, Postgres(WRITTEN))
    _, failed, retried = heard
    assert (failed.outcome, failed.error, failed.seconds >= 0) == ("timed_out", "too slow", True)
    assert (retried.error, retried.delay_seconds) == ("too slow", 60)


def test_how_an_attempt_ended_is_told_once(heard: list[Any]) -> None:
    """A worker that stops hands the job back, and its actor ends after that."""
    postgres = Postgres(WRITTEN, None)
    made = attempt(postgres)
    take(made.hand_back(), postgres.answer)
    take(made.failed(ValueError()), postgres.answer)
    made.answered(is_ours=False)
    assert tuple(type(each) for each in heard) == (Started, Snoozed)


def test_an_actor_that_fails_after_its_transaction_has_succeeded(heard: list[Any]) -> None:
    postgres = Postgres(None)
    made = attempt(postgres)
    made.job._committed()
    take(made.failed(ValueError()), postgres.answer)
    take(made.hand_back(), postgres.answer)
    assert tuple(type(each) for each in heard) == (Started, Succeeded)
    assert (heard[1].queue, heard[1].worker, heard[1].attempt) == ("mail", "worker", 1)
