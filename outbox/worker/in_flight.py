"""The jobs that a worker process has in flight: the state that each is in, and how it leaves."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import partial
from typing import Any, Protocol

import psycopg

from outbox.amqp.messages import Dispatch
from outbox.store import transitions
from outbox.submission.wake_up import NOTIFY_KEYS, NOTIFY_MEMBERS
from outbox.worker.attempts.attempt import Attempt, Row
from outbox.worker.broker import Delivery
from outbox.worker.records.group_commit import GroupCommit

DispatchId = tuple[str, int]
"""Job id and dispatch. A job taken from this process may come back under a later dispatch."""


class State(Enum):
    """Where a job in flight is: each state follows the one before it.

    From RECORDING a job returns to RUNNING until its outcome is settled, and to CLAIMED if Postgres
    cannot store its result.
    """

    RESERVED = auto()
    """Its claim is handed in."""
    CLAIMED = auto()
    """Postgres says that it is this worker's. It is about to start."""
    RUNNING = auto()
    """Its actor runs, or our code that finds out what the actor's error means."""
    RECORDING = auto()
    """It waits for Postgres to record something, however long Postgres is unavailable."""


class Run(Protocol):
    """The thread or task in which an actor runs."""

    def interrupt(self) -> None:
        """Raise Interrupted in it, unless its actor has ended. From any thread."""

    def where(self) -> str:
        """Its stack, for the log."""


@dataclass(slots=True, eq=False)
class JobInFlight:
    """One dispatch of a job, from before its claim until its outcome is on record."""

    delivery: Delivery
    state: State = State.RESERVED
    since: float = field(default_factory=time.monotonic)
    """When the state began, on the monotonic clock."""
    attempt: Attempt = field(init=False)
    """Set by the claim."""
    run: Run | None = None
    """Set once it runs."""
    rejection: psycopg.Error | None = None
    """Why Postgres cannot store its result: this is then to be recorded, and nothing to be run."""
    is_lost: bool = False
    """Whether this worker no longer owns it: then it must not start."""

    def enter(self, state: State) -> None:
        """Change the state."""
        self.state, self.since = state, time.monotonic()

    @property
    def dispatch_id(self) -> DispatchId:
        """Job id and dispatch."""
        return _id(self.delivery.dispatch)

    @property
    def has_begun(self) -> bool:
        """Whether its actor has started."""
        return self.run is not None

    def interrupt(self) -> None:
        """Stop the run, or keep it from starting: this worker no longer owns the job.

        Records nothing. A call into C is not interrupted, but whatever the actor does afterwards is
        fenced.
        """
        self.is_lost = True
        if self.run is not None:
            self.run.interrupt()

    def runs_longer_than(self, seconds: float) -> bool:
        """Whether it has been RUNNING for so long, its own COMMIT apart.

        That may take as long as Postgres, or a standby that it waits for, is unavailable.
        """
        if self.state is not State.RUNNING or self.attempt.job.is_committing:
            return False
        return time.monotonic() > self.since + seconds


class InFlight:
    """The dispatches of a process, each at most once."""

    def __init__(self) -> None:
        self._jobs: dict[DispatchId, JobInFlight] = {}

    def reserve(self, delivery: Delivery) -> JobInFlight | None:
        """Take the message's dispatch in. None if this process has it in flight already."""
        job = JobInFlight(delivery)
        mine = self._jobs.setdefault(job.dispatch_id, job)
        return job if mine is job else None

    def find(self, job_id: str, dispatch: int) -> JobInFlight:
        """The job of that dispatch."""
        return self._jobs[job_id, dispatch]

    def has(self, dispatch_id: DispatchId) -> bool:
        """Whether the dispatch is in flight."""
        return dispatch_id in self._jobs

    def remove(self, job: JobInFlight) -> None:
        """Let the job go: its outcome is on record, or there is none."""
        self._jobs.pop(job.dispatch_id, None)

    @property
    def claimed(self) -> list[JobInFlight]:
        """All jobs that this worker has claimed and not yet let go."""
        return [each for each in list(self._jobs.values()) if each.state is not State.RESERVED]


class Outcomes:
    """The end of a job's time in flight, for threads and tasks alike.

    If the process dies before it, the job is rescued, unless its outcome was committed already.
    """

    def __init__(
        self,
        group_commit: GroupCommit,
        in_flight: InFlight,
        run_again: Callable[[JobInFlight], None],
    ) -> None:
        self._group_commit = group_commit
        self._in_flight = in_flight
        self._run_again = run_again

    def succeeded(self, job: JobInFlight, row: Row | None) -> None:
        """Hand in the row of SUCCEED. The message is acknowledged once that has committed.

        Does not wait. Without a row, the actor's own transaction has completed the job.
        """
        if row is None:
            return self.recorded(job, is_dead=False)
        job.enter(State.RECORDING)
        if report := job.attempt.job.reports.take_last():
            told = job.attempt.progress_row(report)
            self._group_commit.post(transitions.SAVE_PROGRESS, told, _ignore)
        return self._group_commit.post(job.attempt.job.success, row, partial(self._on_answer, job))

    def recorded(self, job: JobInFlight, *, is_dead: bool) -> None:
        """Answer for a job whose outcome is on record: the message of a dead one goes to the XQ."""
        self._in_flight.remove(job)
        if job.attempt.job.batch_id:
            self._group_commit.notify(NOTIFY_MEMBERS)
        if job.attempt.kind.keys:
            self._group_commit.notify(NOTIFY_KEYS)
        if is_dead:
            job.delivery.reject()
        else:
            job.delivery.settle()

    def not_recorded(self, job: JobInFlight) -> None:
        """Give the message back: the worker stopped before anything was recorded."""
        self._in_flight.remove(job)
        job.delivery.give_back()

    def _on_answer(self, job: JobInFlight, answer: Any) -> None:
        """Take the answer to the record of a success, on the group-commit thread."""
        if isinstance(answer, psycopg.Error):
            job.rejection = answer
            self._run_again(job)
        elif isinstance(answer, Exception):
            self._in_flight.remove(job)
        else:
            job.attempt.answered(is_ours=answer is not None)
            self.recorded(job, is_dead=False)


def _id(dispatch: Dispatch) -> DispatchId:
    return dispatch.job_id, dispatch.dispatch


def _ignore(_: Any) -> None:
    """Whether the last report could be written changes nothing."""
