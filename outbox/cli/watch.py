"""What `duly jobs watch` prints: the states that a job passes through, until it ends."""

import time
from collections.abc import Iterator, Sequence
from uuid import UUID

from sqlalchemy.orm import Session

from outbox.cli.terminal.text import first_line
from outbox.cli.terminal.views import error_text, shown_state
from outbox.operations import dead_letters, jobs
from outbox.operations.jobs import AttemptRecord, JobRecord

POLL_SECONDS = 0.5

Look = tuple[JobRecord, Sequence[AttemptRecord]]
"""A job and its failed attempts, of one moment."""


class Passage:
    """Says each state of a job once.

    It also says those states that began and ended between two looks, as far as the job's attempts
    show them.
    """

    def __init__(self) -> None:
        self._said: tuple[str, int] | None = None
        self._started = 0
        self._ended = 0

    def lines(self, job: JobRecord, attempts: Sequence[AttemptRecord]) -> Iterator[str]:
        """What is new: a line for each state."""
        for each in attempts:
            if each.attempt > self._ended:
                yield from self._start(job, each.attempt)
                yield self._say(job, each.outcome, each.attempt, error_text(each))
                self._ended = each.attempt
        state = shown_state(job)
        if state in ("running", "succeeded"):
            yield from self._start(job, job.attempt)
        if self._said != (state, job.attempt):
            yield self._say(job, state, job.attempt)

    def _start(self, job: JobRecord, attempt: int) -> Iterator[str]:
        """Say that the attempt was waited for and runs, if not said before."""
        if attempt > self._started:
            if self._said not in (("queued", attempt - 1), ("scheduled", attempt - 1)):
                yield self._say(job, "queued", attempt - 1)
            yield self._say(job, "running", attempt)
            self._started = attempt

    def _say(self, job: JobRecord, state: str, attempt: int, error: str = "") -> str:
        self._said = (state, attempt)
        line = f"{state}  attempt {attempt} of {job.attempt_limit}  {job.kind}  {error}"
        return first_line(line.rstrip()).plain


def looks(db: Session, job_id: UUID) -> Iterator[Look | None]:
    """The job once per poll interval until it has ended; None if it is not there."""
    while True:
        with db.begin():
            db.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            job = jobs.get_summary(db, job_id)
            look = None if job is None else (job, jobs.attempts(db, job_id))
        yield look
        if job is None or job.finished_at is not None:
            return
        time.sleep(POLL_SECONDS)


def ending(db: Session, job: JobRecord) -> str:
    """How the job ended, in a sentence: with its error and the dead letter if it is dead."""
    letter = dead_letters.find_of(db, job.id, job.dispatch) if job.state == "dead" else None
    if letter is None:
        return f"job {job.id} is {job.state}"
    return first_line(f"job {job.id} is dead (dead letter {letter.id}): {error_text(letter)}").plain
