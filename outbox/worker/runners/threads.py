"""Runs `def` actors, each on one of Dramatiq's worker threads."""

import os
import queue
import threading
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import dramatiq
from dramatiq.broker import MessageProxy
from sqlalchemy.orm import Session

from outbox.errors import Interrupted, WorkerStopping
from outbox.job import Job
from outbox.values.result import UnstorableResult
from outbox.worker.attempts.attempt import Pause, Row, Steps, Write, take
from outbox.worker.broker import Delivery
from outbox.worker.claimer import Slots
from outbox.worker.in_flight import InFlight, JobInFlight, Outcomes, State
from outbox.worker.records.group_commit import GroupCommit, GroupCommitClosed
from outbox.worker.runners.time_limit import TimeLimits, Watch, stack_of

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class WorkItem:
    """What Dramatiq's threads take from their queue."""

    message: MessageProxy


class ThreadQueue:
    """Takes the place of the work queue in Dramatiq's worker: it holds claimed jobs."""

    def __init__(self, threads: int, release: Callable[[JobInFlight], None]) -> None:
        self._threads = threads
        self._release = release
        self._claimed: queue.SimpleQueue[JobInFlight | None] = queue.SimpleQueue()
        self._current = threading.local()

    def put(self, job: JobInFlight) -> None:
        """Give the job to the next free thread."""
        self._claimed.put(job)

    def get(self, timeout: float) -> WorkItem:  # noqa: ARG002 - the signature is Dramatiq's
        """Wait for a job and return its message. Raises queue.Empty once stopped.

        Ignores `timeout`: with several threads waiting, CPython's SimpleQueue may wait forever
        (up to 3.12: the remaining time can be negative, which it takes for no timeout).
        """
        job = self._claimed.get()
        if job is None:
            raise queue.Empty
        self._current.job = job
        return WorkItem(_message(job.delivery))

    def task_done(self) -> None:
        """Mark the calling thread free again, done with what it got."""
        self._release(self._current.job)

    def stop(self) -> None:
        """Wake each thread up once, so the threads must have been told to stop before."""
        with suppress(queue.Empty):
            while True:
                self._claimed.get_nowait()
        for _ in range(self._threads):
            self._claimed.put(None)


@dataclass(frozen=True, slots=True)
class ThreadRun:
    """The block of code in which an actor runs on a thread."""

    limits: TimeLimits
    watch: Watch

    def interrupt(self) -> None:
        """Raise Interrupted in the block, if it still runs."""
        self.limits.interrupt(self.watch)

    def hand_back(self) -> None:
        """End the block as that of a task is when the worker stops: then its job is handed back."""
        self.limits.interrupt(self.watch, WorkerStopping)

    def where(self) -> str:
        """The stack of the thread."""
        return stack_of(self.watch.thread)


class Threads:
    """Runs claimed jobs on the threads of a Dramatiq worker."""

    def __init__(
        self,
        threads: int,
        queues: Collection[str],
        group_commit: GroupCommit,
        in_flight: InFlight,
        outcomes: Outcomes,
        limits: TimeLimits,
        sessions: Callable[[], Session],
        release: Callable[[JobInFlight], None],
    ) -> None:
        """Raises TooFewSlots if there are fewer threads than queues."""
        self.slots: Slots[Delivery] = Slots(threads, queues, "threads")
        self.queue = ThreadQueue(threads, release)
        self._group_commit = group_commit
        self._in_flight = in_flight
        self._outcomes = outcomes
        self._limits = limits
        self._sessions = sessions
        self._process = os.getpid()

    def open_sessions_of(self, job: Job) -> None:
        """Have the job open sessions for a `def` actor."""
        job.open_session = self._sessions

    def start(self, job: JobInFlight) -> None:
        """Have the next free thread run the job."""
        self.queue.put(job)

    def run(self, job_id: str, dispatch: int) -> None:
        """Run the claimed job: Dramatiq's threads call this as its actor.

        A success is handed to the group commit, for which the thread does not wait. Any other
        outcome is on record when this returns. If the process dies in between, the job is rescued.
        """
        job = self._in_flight.find(job_id, dispatch)
        with job.attempt.events.told():
            try:
                self._run(job)
            except GroupCommitClosed:
                self._outcomes.not_recorded(job)
            except BaseException:  # a bug of ours: `Ownership` hands the job back
                self._outcomes.not_recorded(job)
                raise

    def _run(self, job: JobInFlight) -> None:
        try:
            row = self._act(job)
        except BaseException as error:  # noqa: BLE001 - an attempt can end in SystemExit, too
            is_dead = take_steps(job, job.attempt.failed(error), self._group_commit)
            self._outcomes.recorded(job, is_dead=is_dead)
        else:
            self._outcomes.succeeded(job, row)

    def _act(self, job: JobInFlight) -> Row | None:
        """Run the actor within its time limit; return the row of SUCCEED still to be written."""
        attempt = job.attempt
        job.enter(State.RUNNING)
        with self._limits.limit(attempt.kind.time_limit) as watch:
            job.run = ThreadRun(self._limits, watch)
            if job.rejection:
                raise UnstorableResult(str(job.rejection))
            if job.is_lost:
                raise Interrupted
            attempt.job.cancellation.run_by(partial(self._limits.cancel, watch))
            attempt.events.started()
            payload = attempt.payload()
            try:
                returned = attempt.actor(payload, attempt.job)
            finally:
                if os.getpid() != self._process:
                    os._exit(1)  # a child that the actor forked: the attempt is its parent's
            return attempt.succeeded(returned)


def take_steps(job: JobInFlight, steps: Steps[T], group_commit: GroupCommit) -> T:
    """Take the steps, blocking the calling thread for each."""

    def answer(step: Write | Pause) -> Any:
        job.enter(State.RECORDING)
        try:
            if isinstance(step, Write):
                return group_commit.ask(step.statement, step.row)
            return time.sleep(step.seconds)
        finally:
            job.enter(State.RUNNING)

    return take(steps, answer)


def _message(delivery: Delivery) -> MessageProxy:
    """The message as Dramatiq wants it."""
    id_, number, kind, queue_name = delivery.dispatch
    return MessageProxy(
        dramatiq.Message(
            queue_name=queue_name,
            actor_name=kind,
            args=(id_, number),
            kwargs={},
            options={},
            message_id=delivery.dispatch.message_id,
        )
    )
