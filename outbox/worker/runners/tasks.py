"""Runs `async def` actors, each in a task of one event loop, which has a thread of its own."""

import asyncio
import os
import threading
import time
import traceback
from collections.abc import Callable, Collection, Coroutine, Iterable
from contextlib import suppress
from contextvars import ContextVar
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

import structlog

from outbox.errors import Interrupted, JobCancelled, TimeLimitExceeded, WorkerStopping
from outbox.job import Job
from outbox.values.result import UnstorableResult
from outbox.worker.attempts.attempt import Attempt, Pause, Row, Write, take_async
from outbox.worker.broker import Delivery
from outbox.worker.claimer import Slots
from outbox.worker.in_flight import JobInFlight, Outcomes, State
from outbox.worker.records.group_commit import GroupCommit, GroupCommitClosed
from outbox.worker.runners.engines import TaskSessions
from outbox.worker.runners.loop_watch import LoopWatch

log = structlog.get_logger(__name__)

COMMIT_POLL_SECONDS = 0.05
"""How often a task that is to be ended is asked whether its COMMIT is over."""
END_POLL_SECONDS = 0.01
END_SECONDS = 0.5
"""How long the loop may take to end."""
CLEANUP_SECONDS = 1.0
"""How long tasks that are ended at a stop have to clean up, before their jobs are handed back."""

OF_JOB: ContextVar[UUID | None] = ContextVar("of_job", default=None)
"""The job for which code runs on the loop, also in the tasks that an actor spawns."""

Outcome = tuple[Any, BaseException | None]
"""What an actor returned, and what it raised."""


class TaskRun:
    """The task in which an actor runs. It is ended by cancelling it, but never during a COMMIT."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        call: Callable[[], Coroutine[Any, Any, Outcome]],
        job: Job,
        limit: timedelta,
    ) -> None:
        self._loop = loop
        self.job = job
        self._limit = limit
        self._ended_by: type[BaseException] | None = None
        self.task = loop.create_task(self._within_limit(call))
        job.cancellation.run_by(partial(self.end, JobCancelled), loop.call_soon_threadsafe)

    def interrupt(self) -> None:
        """End the task by Interrupted, unless its actor has ended."""
        self._loop.call_soon_threadsafe(self.end, Interrupted)

    def where(self) -> str:
        """Where the task waits: its coroutine, what that awaits, and so on."""
        lines: list[str] = []
        waiting: Any = self.task.get_coro()
        while frame := getattr(waiting, "cr_frame", None):
            lines += traceback.format_stack(frame, 1)
            waiting = getattr(waiting, "cr_await", None)
        return "".join(lines)

    def end(self, by: type[BaseException]) -> None:
        """Cancel the task, on the loop. Its actor then ends by this error."""
        if self.task.done():
            return
        if self.job.is_committing:
            self._loop.call_later(COMMIT_POLL_SECONDS, self.end, by)
            return
        self._ended_by = by
        self.task.cancel()

    async def result(self) -> Any:
        """Wait for what the actor returns. Raises what it raised, or by what it was ended."""
        try:
            await asyncio.wait({self.task})
        except asyncio.CancelledError:
            self.end(Interrupted)
            raise
        outcome: Outcome = None, asyncio.CancelledError()  # if cancelled before its first step
        if not self.task.cancelled():
            outcome = self.task.result()
        returned, error = outcome
        if error is not None and self._ended_by is WorkerStopping:
            raise WorkerStopping from error
        if isinstance(error, asyncio.CancelledError):
            error = self._translated(error)
        if error is not None:
            raise error
        return returned

    async def _within_limit(self, call: Callable[[], Coroutine[Any, Any, Outcome]]) -> Outcome:
        """The limit counts from the start of the actor, which may block before it awaits."""
        timer = self._loop.call_later(self._limit.total_seconds(), self.end, TimeLimitExceeded)
        try:
            return await call()
        finally:
            timer.cancel()

    def _translated(self, cancelled: asyncio.CancelledError) -> BaseException:
        """What the actor's cancellation means, as only the worker cancels it."""
        if self._ended_by is None:
            error: BaseException = RuntimeError("the actor's own code has cancelled it")
        else:
            error = self._ended_by()
        error.__cause__ = cancelled
        return error


class Tasks:
    """Runs claimed jobs as tasks. No task holds a thread.

    An actor that blocks holds up all others: that is logged, with its stack.
    """

    def __init__(
        self,
        tasks: int,
        queues: Collection[str],
        group_commit: GroupCommit,
        outcomes: Outcomes,
        sessions: TaskSessions,
        release: Callable[[JobInFlight], None],
    ) -> None:
        """Raises TooFewSlots if there are fewer tasks than queues."""
        self.slots: Slots[Delivery] = Slots(tasks, queues, "tasks")
        self._group_commit = group_commit
        self._outcomes = outcomes
        self._sessions = sessions
        self._release = release
        self._process = os.getpid()
        self._loop = asyncio.new_event_loop()
        self._loop.set_task_factory(self._new_task)
        self._owners: WeakKeyDictionary[asyncio.Task[Any], UUID | None] = WeakKeyDictionary()
        self._tasks: set[asyncio.Task[None]] = set()
        self._runs: set[TaskRun] = set()
        self._starts = True
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run_loop, name="event loop", daemon=True)
        self._watch = LoopWatch(self._loop, self._thread, self._blocker)

    def start_loop(self) -> None:
        """Start the loop's thread, and the one that watches it."""
        self._thread.start()
        self._watch.start()

    @property
    def is_alive(self) -> bool:
        """Whether both threads run. They end only when closed, or by a bug."""
        return self._thread.is_alive() and self._watch.is_alive

    def open_sessions_of(self, job: Job) -> None:
        """Have the job open sessions for an `async def` actor."""
        job.open_async_session = self._sessions.of_one_job()

    @property
    def is_busy(self) -> bool:
        """Whether a task is left that can end."""
        return bool(self._tasks) and self._thread.is_alive()

    def start(self, job: JobInFlight) -> None:
        """Run the claimed job as a task."""
        self._loop.call_soon_threadsafe(self._begin, job)

    @property
    def lag(self) -> float:
        """For how many seconds a turn of the loop was waited for lately, at most."""
        return self._watch.lag

    def blocked_by(self, jobs: Iterable[JobInFlight]) -> JobInFlight | None:
        """The job among these whose actor, or a task that it has spawned, blocks the loop now."""
        current = asyncio.current_task(self._loop) if self._watch.is_blocked else None
        owner = self._owners.get(current) if current else None
        return next((job for job in jobs if owner and job.attempt.job.id == owner), None)

    def stop_starting(self) -> None:
        """Start no more jobs. A blocked loop is waited for only shortly, and starts none later."""
        self._starts = False
        turned = threading.Event()
        self._loop.call_soon_threadsafe(turned.set)
        turned.wait(END_SECONDS)

    def hand_back(self) -> None:
        """End the tasks that are left, and wait shortly until they are, and their jobs handed back.

        The actors can clean up first: nobody else starts their jobs meanwhile.
        """
        self._loop.call_soon_threadsafe(self._end_runs)
        deadline = time.monotonic() + CLEANUP_SECONDS
        while self.is_busy and time.monotonic() < deadline:
            time.sleep(END_POLL_SECONDS)

    def close(self, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Cancel what is left, run `last`, and end the loop. A blocked loop is not waited for."""
        self._closing.set()
        end = asyncio.run_coroutine_threadsafe(self._end(last), self._loop)
        with suppress(TimeoutError):
            end.result(END_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(END_SECONDS)
        self._watch.close(END_SECONDS)
        if not (self._thread.is_alive() or self._watch.is_alive):
            self._loop.close()

    def _begin(self, job: JobInFlight) -> None:
        if not self._starts:
            return
        attempt = job.attempt
        job.enter(State.RUNNING)
        OF_JOB.set(attempt.job.id)  # in this callback's own context
        with attempt.events.told():
            if job.rejection:
                task = self._loop.create_task(self._run(job, None))
            else:
                call, limit = partial(self._call, attempt), attempt.kind.time_limit
                job.run = run = TaskRun(self._loop, call, attempt.job, limit)
                self._runs.add(run)
                run.task.add_done_callback(lambda _: self._runs.discard(run))
                task = self._loop.create_task(self._run(job, run))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _new_task(
        self, loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any
    ) -> asyncio.Task[Any]:
        """Make a task as the loop does, and remember for which job."""
        task = asyncio.Task(coroutine, loop=loop, **options)
        self._owners[task] = OF_JOB.get()
        return task

    async def _run(self, job: JobInFlight, run: TaskRun | None) -> None:
        try:
            await self._run_and_record(job, run)
        except GroupCommitClosed:
            self._outcomes.not_recorded(job)
        except BaseException:  # the worker ends, or a bug of ours: `Ownership` hands the job back
            self._outcomes.not_recorded(job)
            raise
        finally:
            self._release(job)

    async def _run_and_record(self, job: JobInFlight, run: TaskRun | None) -> None:
        try:
            row = await self._result(job, run)
        except asyncio.CancelledError:
            raise  # of this task: the worker ends
        except BaseException as error:  # noqa: BLE001 - an attempt can end in SystemExit, too
            is_dead = await take_async(job.attempt.failed(error), partial(self._do, job))
            self._outcomes.recorded(job, is_dead=is_dead)
        else:
            self._outcomes.succeeded(job, row)

    async def _result(self, job: JobInFlight, run: TaskRun | None) -> Row | None:
        """Wait for the actor to end; return the row of SUCCEED still to be written."""
        if run is None:
            raise UnstorableResult(str(job.rejection))
        if job.is_lost:
            run.end(Interrupted)
        returned = await run.result()
        return job.attempt.succeeded(returned)

    async def _call(self, attempt: Attempt) -> Outcome:
        try:
            return await outcome_of(attempt)
        finally:
            if os.getpid() != self._process:
                os._exit(1)  # a child that the actor forked: the attempt is its parent's

    async def _do(self, job: JobInFlight, step: Write | Pause) -> Any:
        """Take one step of a record, awaiting its answer."""
        job.enter(State.RECORDING)
        try:
            if isinstance(step, Pause):
                return await asyncio.sleep(step.seconds)
            answer: asyncio.Future[Any] = self._loop.create_future()
            post, soon = self._group_commit.post, self._loop.call_soon_threadsafe
            post(step.statement, step.row, lambda given: soon(_set, answer, given))
            return await answer
        finally:
            job.enter(State.RUNNING)

    def _run_loop(self) -> None:
        asyncio.set_event_loop(self._loop)
        while not self._closing.is_set():
            try:
                self._loop.run_forever()
            except (SystemExit, KeyboardInterrupt) as error:  # in a task of an actor's own
                log.warning("an exit ends only the task", error_type=type(error).__qualname__)

    def _end_runs(self) -> None:
        for run in [*self._runs]:
            run.end(WorkerStopping)

    async def _end(self, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=END_SECONDS / 2)
        await last()

    def _blocker(self) -> dict[str, str]:
        """The job whose actor, or a task that it has spawned, blocks the loop now."""
        current = asyncio.current_task(self._loop)
        owner = self._owners.get(current) if current else None
        found = [run.job for run in [*self._runs] if run.job.id == owner]
        return {"job": str(found[0].id), "kind": found[0].kind} if found else {}


async def outcome_of(attempt: Attempt) -> Outcome:
    """Call the actor. Raises nothing: what a task raises may end the loop (SystemExit)."""
    attempt.events.started()
    try:
        return await attempt.actor(attempt.payload(), attempt.job), None
    except BaseException as error:  # noqa: BLE001 - see above
        return None, error


def _set(future: "asyncio.Future[Any]", answer: Any) -> None:
    if not future.done():
        future.set_result(answer)
