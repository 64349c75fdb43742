"""Records that the tables do not take: the job keeps its outcome, and runs no second time."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from outbox import Actor, Job, Retry
from tests.integration.engine.gate import Gate
from tests.integration.engine.refusing import Refusing
from tests.support.engine.by_hand import ByHand
from tests.support.engine.line import AT_ONCE, Line, Note, note_kind
from tests.support.wait import wait_for


class Failing:
    """An actor that cannot, and counts how often it was asked."""

    def __init__(self) -> None:
        self.runs = 0

    def __call__(self, _note: Note, _job: Job) -> None:
        self.runs += 1
        raise LookupError("void")


@pytest.mark.parametrize(
    ("retry", "reason"),
    [(Retry(attempts=9, never=(LookupError,)), "refused"), (Retry(attempts=1), "exhausted")],
)
def test_a_job_that_dies_while_the_numbers_of_letters_are_behind_is_dead_after_one_run(
    line: Line, queue: str, by_hand: ByHand, retry: Retry, reason: str
) -> None:
    """As after a switchover by logical replication, which does not copy sequences."""
    numbers = [by_hand.dead()[1] for _ in range(40)]
    by_hand.take(f"SELECT setval('duly.dead_letters_id_seq', {numbers[0]}, false)")
    kind, actor = note_kind(queue, retry=retry), Failing()
    line.start_relay(queue)
    line.start_worker(Actor(kind, actor))
    job = line.wait_for(line.submit(kind()), "dead")
    assert (job.attempt, actor.runs) == (1, 1)
    assert [each.error_type for each in line.attempts(job.id)] == ["LookupError"]
    (letter,) = [each for each in line.letters() if each.job_id == job.id]
    assert (letter.reason, letter.error_message) == (reason, "void")
    assert letter.id > max(numbers)


@pytest.mark.parametrize(
    ("table", "outcome", "state"),
    [("attempts", "failed", "dead"), ("dead_letters", "failed", "dead"), ("jobs", 7, "succeeded")],
)
def test_what_the_tables_do_not_take_is_written_once_they_do_and_nothing_runs_again(
    line: Line, queue: str, refusing: Refusing, table: str, outcome: Any, state: str
) -> None:
    runs = []

    def do(note: Note, job: Job) -> Any:
        runs.append(job.attempt)
        if outcome == "failed":
            raise LookupError("void")
        return outcome

    kind = note_kind(queue, retry=Retry(attempts=1))
    refusing.refuse(table, "new.result = '7'" if table == "jobs" else "true")
    line.start_relay(queue)
    line.start_worker(Actor(kind, do))
    with capture_logs() as logs:
        job = line.submit(kind())
        wait_for("a second try", lambda: str(logs).count("record held") > 1)
    assert line.job(job).state == "running"
    refusing.take()
    line.wait_for(job, state)
    assert runs == [1]


def test_one_record_that_is_held_keeps_no_other_job_waiting(
    line: Line, queue: str, refusing: Refusing
) -> None:
    def do(note: Note, job: Job) -> str:
        gate(note, job)
        return note.text

    kind, gate = note_kind(queue, retry=AT_ONCE), Gate()
    refusing.refuse("jobs", "new.result = '\"held\"'")
    line.start_relay(queue)
    line.start_worker(Actor(kind, do), threads=1)
    held = line.submit(kind(text="held"))
    for _ in range(5):
        line.wait_for(line.submit(kind(text="other")), "succeeded")
    assert line.job(held).state == "running"
    refusing.take()
    assert line.wait_for(held, "succeeded").attempt == 1
    assert gate.came.count("held") == 1
