"""Jobs that crash, hang, hoard, lie and meddle: each ends as one dead letter that says why.

One worker process under its supervisor does all of them, and good jobs beside them.
"""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

import pytest

from outbox.operations.dead_letters import DeadLetter
from tests.hostile.conftest import Start
from tests.hostile.deeds import GOOD, hostile
from tests.support.engine.effects import Effects
from tests.support.engine.line import Line
from tests.support.service.process import DULY
from tests.support.wait import wait_for

SUPERVISED = (sys.executable, "-m", "dev.demo.supervise", *DULY)
CRASHING = ("be_killed", "read_nowhere", "exit_at_once", "exit_from_thread")


@dataclass(frozen=True)
class End:
    """How a deed ends: the letter's reason, and of all attempts the outcome and the error."""

    reason: str
    error: str | None
    outcome: str = "failed"
    attempts: int = 2


TIMEOUT = End("exhausted", "TimeLimitExceeded", "timed_out")
ENDS = {
    "exit_politely": End("refused", "SystemExit", attempts=1),
    "interrupt": End("refused", "KeyboardInterrupt", attempts=1),
    "kill_own_thread": End("refused", "SystemExit", attempts=1),
    "loop": TIMEOUT,
    "exceed_the_limit": TIMEOUT,
    "recurse": End("exhausted", "RecursionError"),
    "leave_children": End("exhausted", "ChildProcessError"),
    "fork": End("exhausted", "ChildProcessError"),
    "end_threads": End("exhausted", "ValueError"),
    "raise_unprintable": End("exhausted", "ValueError"),
    "close_session": End("exhausted", "InvalidRequestError"),
    "roll_back": End("exhausted", "InvalidRequestError"),
    "break_transaction": End("exhausted", "InternalError"),
    "end_own_connection": End("exhausted", "OperationalError"),
    "fill_the_disk": End("exhausted", "OperationalError"),
    "leave_transaction_open": End("exhausted", "ValueError"),
    "return_much": End("refused", "UnstorableResult", attempts=1),
}


@pytest.fixture(scope="module", autouse=True)
def _processes(start: Start) -> None:
    start("relay")
    start("worker", command=SUPERVISED, actors="tests.hostile.limited:ACTORS")


@pytest.mark.parametrize("deed", ENDS)
def test_a_hostile_job_ends_as_one_letter_and_harms_no_other(
    line: Line, effects: Effects, deed: str
) -> None:
    _check(line, effects, {deed: ENDS[deed]})


def test_jobs_that_end_their_process_are_given_up_and_the_worker_comes_back(
    line: Line, effects: Effects
) -> None:
    crashed = End("crashed", "WorkerGone", "crashed")
    _check(line, effects, dict.fromkeys(CRASHING, crashed))


def test_a_job_that_takes_all_memory_is_given_up(line: Line, effects: Effects) -> None:
    (job,) = _do(["take_all_memory"], line, effects)
    attempts = line.attempts(job)
    assert len(attempts) == 2
    # Whoever asks for memory next does not get it: the actor, or a thread that all need.
    reasons = {"MemoryError": "exhausted", "WorkerGone": "crashed"}
    assert {each.error_type for each in attempts} <= reasons.keys()
    letter = _letter(line, job)
    assert letter.reason == reasons[letter.error_type or ""]


def _check(line: Line, effects: Effects, ends: dict[str, End]) -> None:
    jobs = _do(ends, line, effects)
    assert {deed: _end(line, job) for deed, job in zip(ends, jobs, strict=True)} == ends


def _do(deeds: Iterable[str], line: Line, effects: Effects) -> list[UUID]:
    """The jobs that did these deeds, dead by now. Good ones beside them are not disturbed."""
    good = [line.submit(GOOD(name="before")) for _ in range(3)]
    bad = [line.submit(hostile(deed)) for deed in deeds]
    good += [line.submit(GOOD(name="after")) for _ in range(3)]
    _wait_for("dead", bad, line)
    _wait_for("succeeded", good, line)
    assert [effects.of(job) for job in good] == [["done"]] * len(good)
    assert [effects.of(job) for job in bad] == [[]] * len(bad)
    return bad


def _wait_for(state: str, jobs: Iterable[UUID], line: Line) -> None:
    wait_for(f"all are {state}", lambda: all(line.job(job).state == state for job in jobs))


def _end(line: Line, job: UUID) -> End:
    letter = _letter(line, job)
    attempts = [(each.outcome, each.error_type) for each in line.attempts(job)]
    ((outcome, error),) = set(attempts)
    assert letter.error_type == error
    return End(letter.reason, error, outcome, len(attempts))


def _letter(line: Line, job: UUID) -> DeadLetter:
    (letter,) = [each for each in line.letters() if each.job_id == job]
    return letter
