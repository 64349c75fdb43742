"""The threads of one worker process and what they share: how they start, and how they stop."""

import threading
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any

import dramatiq
import structlog
from sqlalchemy.orm import sessionmaker

from outbox.actors import Actor, Actors
from outbox.consumers import Consumers
from outbox.submission.pending import WAKE_UP
from outbox.submission.sessions import job_sessions
from outbox.worker.attempts.attempt import Attempt
from outbox.worker.broker import Broker, Delivery, all_up
from outbox.worker.claimer import Claimer, Slots
from outbox.worker.heartbeat import Heartbeat, worker_name
from outbox.worker.in_flight import InFlight, JobInFlight, Outcomes
from outbox.worker.job_watch import JobWatch
from outbox.worker.lease import SILENCE, Lease
from outbox.worker.ownership import Ownership
from outbox.worker.receiving.thread import ReceivingThread
from outbox.worker.records.group_commit import GroupCommit, GroupCommitClosed
from outbox.worker.records.statements import PROBE
from outbox.worker.records.unusable_messages import PATIENCE, UnusableMessages
from outbox.worker.runners.engines import TaskSessions, engine_for_tasks, engine_for_threads
from outbox.worker.runners.tasks import CLEANUP_SECONDS, Tasks
from outbox.worker.runners.threads import ThreadRun, Threads, take_steps
from outbox.worker.runners.time_limit import TimeLimits

log = structlog.get_logger(__name__)

TASKS = 100
"""How many `async def` actors run at once, unless told otherwise."""

NO_CONSUMERS = Consumers()

CLOSE_TIMEOUT_SECONDS = 2.0
"""How long to wait for RabbitMQ to close consumers. The process's end requeues their messages."""
RECORD_TIMEOUT = timedelta(seconds=2.5)
"""How long after the grace period to wait for Postgres to record what is handed back."""
STOP_POLL_SECONDS = 0.02
"""How often a worker that stops looks whether an actor still runs."""
LEAVE_TIMEOUT_SECONDS = 1.0
"""How long to wait for Postgres to learn that the worker leaves."""


class Worker:
    """The threads of one worker process and what they share."""

    def __init__(
        self,
        actors: Actors,
        database_url: str,
        amqp_url: str,
        queues: Collection[str] | None,
        threads: int,
        patience: timedelta = PATIENCE,
        tasks: int = TASKS,
        silence: timedelta = SILENCE,
        consumers: Consumers = NO_CONSUMERS,
    ) -> None:
        """Raises TooFewSlots if there are fewer threads or tasks than queues that need them."""
        self.name = worker_name()
        wanted_actors = [
            each for each in actors.values() if not queues or each.kind.queue in queues
        ]
        served_actors = {each.kind.name: each for each in wanted_actors}
        for_threads = {each.kind.queue for each in served_actors.values() if not each.is_async}
        for_tasks = {each.kind.queue for each in served_actors.values() if each.is_async}
        served = for_threads | for_tasks
        self._group_commit = GroupCommit(database_url, self.name)
        self._engine = engine_for_threads(database_url, threads, lambda: self._group_commit.lost_at)
        self._async_engine = engine_for_tasks(database_url, lambda: self._group_commit.lost_at)
        info = {WAKE_UP: self._group_commit.notify}
        sessions = sessionmaker(self._engine, expire_on_commit=False, info=info)
        async_sessions = job_sessions(self._async_engine, expire_on_commit=False, info=info)
        wanted = [each for each in consumers.values() if not queues or each.queue in queues]
        self._receiving = ReceivingThread(database_url, amqp_url, Consumers(wanted))
        self._is_hurried = False
        self._limits = TimeLimits()
        self._in_flight = InFlight()
        self._ownership = Ownership(self._group_commit, self._in_flight)
        self._job_watch = JobWatch(self._group_commit, self._running)
        unusable = UnusableMessages(self._group_commit, patience)
        self._claimer = Claimer(self._group_commit, self._in_flight, unusable.put_off, patience)
        outcomes = Outcomes(self._group_commit, self._in_flight, self._claimer.run_again)
        self._threads = Threads(
            threads,
            for_threads,
            self._group_commit,
            self._in_flight,
            outcomes,
            self._limits,
            sessions,
            self._claimer.release,
        )
        self._tasks = Tasks(
            tasks,
            for_tasks,
            self._group_commit,
            outcomes,
            TaskSessions(async_sessions),
            self._claimer.release,
        )
        runners = self._threads, self._tasks
        prefetch = {each: 2 * sum(one.slots.most_of(each) for one in runners) for each in served}
        self._broker = Broker(amqp_url, prefetch, self._claimer.receive, unusable.keep_foreign)
        for actor in served_actors.values():
            self._register(actor)
        room = {"threads": threads, "tasks": tasks}
        self._heartbeat = Heartbeat(database_url, self.name, served, **room, kinds=served_actors)
        self._lease = Lease(silence, self._heartbeat, self._in_flight)
        self._worker = dramatiq.Worker(self._broker, worker_threads=threads)
        self._worker.work_queue = self._threads.queue  # type: ignore[assignment]

    def register(self) -> None:
        """Start the heartbeat, which registers this worker once Postgres is available."""
        self._heartbeat.start()

    def is_registered(self, seconds: float) -> bool:
        """Whether Postgres knows this worker. Waits up to that many seconds for it."""
        return self._heartbeat.registered.wait(seconds)

    def start(self) -> None:
        """Start working. Only once registered: jobs claimed by an unknown worker are rescued."""
        self._group_commit.start()
        self._limits.start()
        self._ownership.start()
        self._job_watch.start()
        self._lease.start()
        self._tasks.start_loop()
        self._worker.start()
        self._receiving.start()
        log.info("worker ready", worker=self.name, queues=sorted(self._broker.queues))

    @property
    def has_heartbeat(self) -> bool:
        """Whether its heartbeat thread runs, even if that still waits for Postgres."""
        return self._heartbeat.is_alive

    @property
    def is_whole(self) -> bool:
        """Whether every thread is alive."""
        threads: list[threading.Thread] = [*self._worker.workers, *self._worker.consumers.values()]
        return (
            all(thread.is_alive() for thread in threads)
            and self._group_commit.is_alive
            and self.has_heartbeat
            and self._limits.is_alive
            and self._ownership.is_alive
            and self._job_watch.is_alive
            and self._lease.is_alive
            and self._tasks.is_alive
            and self._receiving.is_alive
        )

    @property
    def slots(self) -> dict[str, Slots[Delivery]]:
        """What can run at once, by sort."""
        return {"thread": self._threads.slots, "task": self._tasks.slots}

    @property
    def heartbeat_age(self) -> float:
        """How many seconds ago it sent the last heartbeat that Postgres has answered."""
        return self._heartbeat.age

    @property
    def consumes(self) -> bool | None:
        """Whether it consumes all its queues, foreign ones included; None before it has tried."""
        return all_up(self._broker.is_up, self._receiving.is_up)

    @property
    def loop_lag(self) -> float:
        """For how many seconds its event loop has lately made something wait, at most."""
        return self._tasks.lag

    def stuck(self, margin: timedelta) -> list[JobInFlight]:
        """The jobs whose attempts still run `margin` past their time limit.

        In a call into C, for example. Waiting for Postgres does not count. Where a task blocks the
        event loop, it is that one, and not those that it holds up.
        """
        claimed = self._in_flight.claimed
        stuck = [
            each
            for each in claimed
            if each.runs_longer_than((each.attempt.kind.time_limit + margin).total_seconds())
        ]
        blocker = self._tasks.blocked_by(claimed) if stuck else None
        if blocker is None:
            return stuck
        of_threads = [each for each in stuck if not each.attempt.actor.is_async]
        return [*of_threads, blocker]

    def replace(self, stuck: Collection[JobInFlight]) -> None:
        """Give up the stuck attempts and hand back all others.

        The process must end after that, because its stuck threads cannot be ended.
        """
        for job in stuck:
            where = job.run.where() if job.run else ""
            log.critical("stuck past its time limit", **job.attempt.events.log_fields, stack=where)
            with suppress(GroupCommitClosed):
                take_steps(job, job.attempt.give_up(), self._group_commit)
        self._stop_taking()
        self._end_runs(set(self._in_flight.claimed) - set(stuck))
        self._hand_back(set(self._in_flight.claimed) - set(stuck))
        self._leave()

    def stop(self, grace: timedelta) -> None:
        """Take no new jobs, let running ones finish within `grace`, and hand back the rest.

        `hurry` ends the grace. What is handed back is queued again without spending its attempt.
        """
        running, bound = self._running_now, grace.total_seconds()
        log.info("worker stopping", worker=self.name, running=running, grace_seconds=bound)
        deadline = time.monotonic() + bound
        self._group_commit.give_up_at(deadline + RECORD_TIMEOUT.total_seconds())
        self._stop_taking()
        self._hand_back(each for each in self._in_flight.claimed if not each.has_begun)
        self._group_commit.wake_up()
        while self._is_busy and time.monotonic() < deadline and not self._is_hurried:
            time.sleep(STOP_POLL_SECONDS)
        if self._is_hurried:
            self._group_commit.give_up_at(time.monotonic() + RECORD_TIMEOUT.total_seconds())
            why = "it was told to stop again"
            log.warning("worker stopping at once", running=self._running_now, why=why)
        self._end_runs(self._in_flight.claimed)
        self._await_group_commit()
        self._hand_back(self._in_flight.claimed)
        self._leave()

    def hurry(self) -> None:
        """Have `stop` hand running jobs back now, and not after their grace.

        A signal's handler may call it: it takes no lock, which what it interrupts could have.
        """
        self._is_hurried = True

    @property
    def _is_busy(self) -> bool:
        """Whether an actor runs."""
        return any(each.is_alive() for each in self._worker.workers) or self._tasks.is_busy

    def _stop_taking(self) -> None:
        """Stop claiming, and close the consumers so that others get prefetched messages at once.

        This requeues those of running jobs too. A worker that gets one finds its job running.
        """
        self._broker.leave()
        self._ownership.close()
        self._group_commit.stop_waiting()
        consumers = self._worker.consumers.values()
        for worker in self._worker.workers:
            worker.stop()
        self._claimer.stop()
        self._threads.queue.stop()
        self._tasks.stop_starting()
        for consumer in consumers:
            consumer.stop()
        _all_within(
            CLOSE_TIMEOUT_SECONDS,
            partial(self._receiving.close, CLOSE_TIMEOUT_SECONDS),
            *(partial(_close, consumer) for consumer in consumers),
        )
        self._await_group_commit()

    def _await_group_commit(self) -> None:
        """Wait until the group commit has answered all claims and successes handed in."""
        with suppress(GroupCommitClosed):
            self._group_commit.write(PROBE, {})

    def _end_runs(self, jobs: Iterable[JobInFlight]) -> None:
        """End tasks, and what runs on a thread under a limit; wait shortly until it has ended.

        The next job of its key starts as soon as it is handed back. Other threads end with the
        process: all that they do in Postgres from then on is fenced.
        """
        deadline = time.monotonic() + CLEANUP_SECONDS
        ending = [each for each in jobs if each.attempt.kind.is_limited and each.attempt.is_open]
        for job in ending:
            if isinstance(job.run, ThreadRun):
                job.run.hand_back()
        self._tasks.hand_back()
        while time.monotonic() < deadline and any(map(self._is_running, ending)):
            time.sleep(STOP_POLL_SECONDS)

    def _is_running(self, job: JobInFlight) -> bool:
        return isinstance(job.run, ThreadRun) and self._in_flight.has(job.dispatch_id)

    def _hand_back(self, jobs: Iterable[JobInFlight]) -> None:
        for job in jobs:
            has_begun = job.has_begun
            log.warning("handed back", **job.attempt.events.log_fields, had_begun=has_begun)
            with suppress(GroupCommitClosed):
                take_steps(job, job.attempt.hand_back(), self._group_commit)
            if not has_begun:
                self._in_flight.remove(job)

    @property
    def _running_now(self) -> int:
        """How many actors have begun."""
        return sum(each.has_begun for each in self._in_flight.claimed)

    def _running(self) -> list[Attempt]:
        return [each.attempt for each in self._in_flight.claimed]

    def _leave(self) -> None:
        self._job_watch.close()
        self._lease.close()
        self._group_commit.wake_up()
        self._group_commit.close()
        close_tasks = partial(self._tasks.close, self._async_engine.dispose)
        _all_within(LEAVE_TIMEOUT_SECONDS, self._heartbeat.close, close_tasks)
        self._limits.close()
        self._engine.dispose()

    def _register(self, actor: Actor[Any, Any]) -> None:
        self._claimer.serve(actor, self._tasks if actor.is_async else self._threads)
        if actor.is_async:
            return
        dramatiq.Actor(
            self._threads.run,
            broker=self._broker,
            actor_name=actor.kind.name,
            queue_name=actor.kind.queue,
            priority=0,
            options={},
        )


def _close(consumer: Any) -> None:
    consumer.join()
    consumer.close()


def _all_within(seconds: float, *calls: Callable[[], None]) -> None:
    """Make all calls at once, and wait at most that long: each may wait for a silent server."""
    deadline = time.monotonic() + seconds
    threads = [threading.Thread(target=call, daemon=True) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0, deadline - time.monotonic()))
