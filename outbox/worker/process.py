"""The worker process: Dramatiq's worker threads around our executors."""

import faulthandler
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any

import dramatiq
import structlog
from sqlalchemy import create_engine
from sqlalchemy.orm import sessionmaker

from outbox.actors import Actor, Actors
from outbox.amqp.messages import Dispatch
from outbox.job import refuse_early_commits
from outbox.postgres.address import sqlalchemy_url
from outbox.postgres.pools import note_errors, replace_older, replace_unusable, roll_back_leftovers
from outbox.postgres.replication import watch_commits
from outbox.postgres.session_settings import configure_engine
from outbox.worker.attempt import Attempt
from outbox.worker.broker import Broker, Dead, GiveBack
from outbox.worker.claimer import Claimer
from outbox.worker.executor import Executor
from outbox.worker.heartbeat import Heartbeat, worker_name
from outbox.worker.in_flight import InFlight
from outbox.worker.ownership import Ownership
from outbox.worker.records.group_commit import PROBE, GroupCommit, GroupCommitClosed
from outbox.worker.time_limit import TimeLimits
from outbox.worker.unusable_messages import PATIENCE, UnusableMessages

log = structlog.get_logger(__name__)

CHECK_SECONDS = 1.0
"""How often the main thread checks that the worker is healthy."""
FROZEN_SECONDS = 30
"""How long the process may be frozen by C code that never releases the interpreter."""
SHUTDOWN_MARGIN = timedelta(seconds=4.5)
"""How long after the grace period a stopping process ends, at the latest."""
CLOSE_TIMEOUT_SECONDS = 2.0
"""How long to wait for RabbitMQ to close consumers. The process's end requeues their messages."""
RECORD_TIMEOUT = timedelta(seconds=2.5)
"""How long after the grace period to wait for Postgres to record what is handed back."""
LEAVE_TIMEOUT_SECONDS = 1.0
"""How long to wait for Postgres and RabbitMQ to learn that the worker leaves."""


def run(
    *,
    actors: Actors,
    database_url: str,
    amqp_url: str,
    queues: Collection[str] | None = None,
    threads: int = 16,
    grace: timedelta = timedelta(seconds=25),
    margin: timedelta = timedelta(seconds=30),
    patience: timedelta = PATIENCE,
) -> int:
    """Work until SIGTERM or SIGINT; return the exit code for the process.

    Serves only `queues`, by default all that the actors have. After the signal, running jobs may
    finish within `grace`; the rest are handed back without spending an attempt. The process ends at
    most 5 seconds later, whatever it waits for. What Postgres has not recorded by then is rescued.
    A job whose kind or payload no worker has understood for `patience` dies.

    Returns 1, as soon as after SIGTERM, if a thread has died or an actor is stuck `margin` past its
    time limit. A supervisor then restarts the process: a worker short of threads would look alive
    and do less and less. If all threads stand still for FROZEN_SECONDS, the process prints their
    stacks and ends itself.
    """
    worker = Worker(actors, database_url, amqp_url, queues, threads, patience)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    worker.register()
    while not worker.is_registered(CHECK_SECONDS):
        if stop.is_set():
            return 0
        if not worker.has_heartbeat:
            log.critical("the heartbeat thread has died")
            return 1
    faulthandler.dump_traceback_later(FROZEN_SECONDS, exit=True)
    worker.start()
    while not stop.wait(CHECK_SECONDS):
        faulthandler.dump_traceback_later(FROZEN_SECONDS, exit=True)
        if not worker.is_whole:
            log.critical("a thread of this worker has died")
            _end_within(grace + SHUTDOWN_MARGIN)
            worker.stop(grace)
            return 1
        if stuck := worker.stuck(margin):
            _end_within(min(grace + SHUTDOWN_MARGIN, timedelta(seconds=FROZEN_SECONDS)))
            worker.replace(stuck)
            return 1
    _end_within(grace + SHUTDOWN_MARGIN)
    worker.stop(grace)
    faulthandler.cancel_dump_traceback_later()
    return 0


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
    ) -> None:
        self.name = worker_name()
        self._engine = create_engine(
            sqlalchemy_url(database_url),
            pool_size=threads,
            max_overflow=threads,
            hide_parameters=True,  # an error's text is stored and shown
        )
        configure_engine(self._engine)
        note_errors(self._engine)
        refuse_early_commits(self._engine)
        roll_back_leftovers(self._engine)
        replace_unusable(self._engine)
        watch_commits(self._engine)
        self._group_commit = GroupCommit(database_url, self.name)
        # Whatever cut the group commit's connection has cut idle ones of the actors, too. Those are
        # replaced, so that no attempt fails on one.
        replace_older(self._engine, lambda: self._group_commit.lost_at)
        self._limits = TimeLimits()
        self._in_flight = InFlight()
        self._ownership = Ownership(self._group_commit, self._in_flight)
        self._patience = patience
        self._executors: dict[str, Executor] = {}
        chosen = [each for each in actors.values() if not queues or each.kind.queue in queues]
        served = {each.kind.queue for each in chosen}
        self._claimer = Claimer(
            self._group_commit, self._in_flight, self._prepare, threads=threads, queues=served
        )
        self._broker = Broker(amqp_url, UnusableMessages(self._group_commit, patience))
        for actor in chosen:
            self._register(actor)
        self._heartbeat = Heartbeat(database_url, self.name, served, threads)
        self._worker = dramatiq.Worker(self._broker, worker_threads=threads)
        self._worker.work_queue = self._claimer  # type: ignore[assignment]

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
        self._worker.start()
        log.info("worker ready", worker=self.name, queues=sorted(self._broker.queues))

    @property
    def has_heartbeat(self) -> bool:
        """Whether its heartbeat thread runs, even if that still waits for Postgres."""
        return self._heartbeat.is_alive

    @property
    def is_whole(self) -> bool:
        """Whether every thread is alive."""
        threads: list[Any] = [*self._worker.workers, *self._worker.consumers.values()]
        return (
            all(thread.is_alive() for thread in threads)
            and self._group_commit.is_alive
            and self.has_heartbeat
            and self._limits.is_alive
            and self._ownership.is_alive
        )

    def stuck(self, margin: timedelta) -> list[Attempt]:
        """The attempts that still run `margin` past their time limit."""
        return [attempt for attempt in self._in_flight.attempts if attempt.is_stuck(margin)]

    def replace(self, stuck: Collection[Attempt]) -> None:
        """Give up the stuck attempts and hand back all others.

        The process must end after that, because its stuck threads cannot be ended.
        """
        for attempt in stuck:
            log.critical(
                "stuck past its time limit", job=str(attempt.job.id), stack=attempt.where()
            )
            attempt.give_up()
        self._stop_taking()
        self._hand_back(set(self._in_flight.attempts) - set(stuck))
        self._leave()

    def stop(self, grace: timedelta) -> None:
        """Take no new jobs, let running ones finish within `grace`, and hand back the rest."""
        log.info("worker stopping", worker=self.name)
        deadline = time.monotonic() + grace.total_seconds()
        self._group_commit.give_up_at(deadline + RECORD_TIMEOUT.total_seconds())
        self._stop_taking()
        self._hand_back(each for each in self._in_flight.attempts if not each.has_begun)
        self._group_commit.wake_up()
        for thread in self._worker.workers:
            thread.join(max(0, deadline - time.monotonic()))
        self._await_group_commit()
        self._hand_back(self._in_flight.attempts)
        self._leave()

    def _stop_taking(self) -> None:
        """Stop claiming, and close the consumers so that others get prefetched messages at once.

        This requeues the messages of running jobs too. A worker that gets one finds its job
        running, and drops the message.
        """
        self._ownership.close()
        self._group_commit.stop_waiting()
        consumers = self._worker.consumers.values()
        for worker in self._worker.workers:
            worker.stop()
        self._claimer.stop()
        for consumer in consumers:
            consumer.stop()
        _all_within(CLOSE_TIMEOUT_SECONDS, *(partial(_close, consumer) for consumer in consumers))
        self._await_group_commit()

    def _await_group_commit(self) -> None:
        """Wait until the group commit has answered all claims and successes handed in."""
        with suppress(GroupCommitClosed):
            self._group_commit.write(PROBE, {})

    def _hand_back(self, attempts: Iterable[Attempt]) -> None:
        for attempt in attempts:
            log.warning("handed back", job=str(attempt.job.id), had_begun=attempt.has_begun)
            with suppress(GroupCommitClosed):
                attempt.hand_back()
            if not attempt.has_begun:
                self._in_flight.remove(attempt.dispatch_id)

    def _leave(self) -> None:
        self._group_commit.wake_up()
        self._group_commit.close()
        _all_within(LEAVE_TIMEOUT_SECONDS, self._heartbeat.close, self._broker.close)
        self._limits.close()
        self._engine.dispose()

    def _prepare(self, dispatch: Dispatch, claim: Any) -> Attempt:
        return self._executors[dispatch.kind].prepare(dispatch, claim)

    def _register(self, actor: Actor) -> None:
        sessions = sessionmaker(self._engine, expire_on_commit=False)
        executor = Executor(
            actor,
            self._group_commit,
            sessions,
            self._limits,
            self._in_flight,
            self._claimer,
            self._patience,
        )
        self._executors[actor.kind.name] = executor
        dramatiq.Actor(
            executor,
            broker=self._broker,
            actor_name=actor.kind.name,
            queue_name=actor.kind.queue,
            priority=0,
            options={"throws": (Dead, GiveBack)},
        )


def _end_within(bound: timedelta) -> None:
    """Make the process end itself after `bound`, whatever it waits for."""
    faulthandler.dump_traceback_later(bound.total_seconds(), exit=True)


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
