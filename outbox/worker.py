"""The worker process: Dramatiq's worker threads around our runners."""

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

from outbox.actor import Actor, Actors
from outbox.attempt import Attempt
from outbox.broker import Broker, Dead, GiveBack
from outbox.claims import Claims
from outbox.database import (
    note_errors,
    renew_older,
    replace_useless,
    roll_back_leftovers,
    sqlalchemy_url,
)
from outbox.desk import Desk
from outbox.heartbeat import Heartbeat, worker_name
from outbox.job import refuse_early_commits
from outbox.ledger import LOOK, Ledger, LedgerClosed
from outbox.ownership import Ownership
from outbox.postgres import settle_engine
from outbox.replication import watch_commits
from outbox.runner import Runner
from outbox.time_limit import TimeLimits
from outbox.unfit import PATIENCE, Unfit
from outbox.wire import Dispatch

log = structlog.get_logger(__name__)

LOOK_SECONDS = 1.0
FROZEN_SECONDS = 30
"""How long the process may stand still, in C code that never lets go of the interpreter."""
PARTING = timedelta(seconds=4.5)
"""How long after the grace period a worker has ended that was told to stop."""
CLOSING_SECONDS = 2.0
"""How long it waits for RabbitMQ before it goes on; its messages go back when the process ends."""
RECORDING = timedelta(seconds=2.5)
"""How long after the grace period it waits for Postgres to record what it hands back."""
FAREWELL_SECONDS = 1.0
"""How long it waits for either to hear that it leaves."""


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
    """Work until SIGTERM or SIGINT; returns the exit code for the process.

    Only jobs of `queues` are done, by default of all that the actors have. When told to stop, what
    runs may finish within `grace`, and the rest is given back, no attempt spent. The process has
    ended 5 seconds later at the latest, whatever it waits for: what Postgres did not record by then
    is rescued. A job whose kind or payload no worker has understood for `patience` is dead.

    Returns 1, as soon as after SIGTERM, when a thread has died, or an actor is stuck `margin` past
    its time limit: a supervisor starts the process again, where a worker short of threads would
    look alive and do ever less. A process whose every thread stands still ends itself, saying where
    it stood.
    """
    worker = Worker(actors, database_url, amqp_url, queues, threads, patience)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    worker.register()
    while not worker.is_registered(LOOK_SECONDS):
        if stop.is_set():
            return 0
        if not worker.beats:
            log.critical("the heartbeat of this worker has died")
            return 1
    faulthandler.dump_traceback_later(FROZEN_SECONDS, exit=True)
    worker.start()
    while not stop.wait(LOOK_SECONDS):
        faulthandler.dump_traceback_later(FROZEN_SECONDS, exit=True)
        if not worker.is_whole:
            log.critical("a thread of this worker has died")
            _end_within(grace + PARTING)
            worker.stop(grace)
            return 1
        if stuck := worker.stuck(margin):
            _end_within(min(grace + PARTING, timedelta(seconds=FROZEN_SECONDS)))
            worker.replace(stuck)
            return 1
    _end_within(grace + PARTING)
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
        settle_engine(self._engine)
        note_errors(self._engine)
        refuse_early_commits(self._engine)
        roll_back_leftovers(self._engine)
        replace_useless(self._engine)
        watch_commits(self._engine)
        self._ledger = Ledger(database_url, self.name)
        # With the ledger's connection idle ones of the actors were lost, at the cost of no attempt.
        renew_older(self._engine, lambda: self._ledger.lost_at)
        self._limits = TimeLimits()
        self._desk = Desk()
        self._ownership = Ownership(self._ledger, self._desk)
        self._patience = patience
        self._runners: dict[str, Runner] = {}
        chosen = [each for each in actors.values() if not queues or each.kind.queue in queues]
        served = {each.kind.queue for each in chosen}
        self._claims = Claims(
            self._ledger, self._desk, self._prepare, threads=threads, queues=served
        )
        self._broker = Broker(amqp_url, Unfit(self._ledger, patience))
        for actor in chosen:
            self._register(actor)
        self._heartbeat = Heartbeat(database_url, self.name, served, threads)
        self._worker = dramatiq.Worker(self._broker, worker_threads=threads)
        self._worker.work_queue = self._claims  # type: ignore[assignment]

    def register(self) -> None:
        """Make this worker known to the database, as soon as that is there."""
        self._heartbeat.start()

    def is_registered(self, seconds: float) -> bool:
        """Whether the database knows of this worker, waiting so long for it."""
        return self._heartbeat.registered.wait(seconds)

    def start(self) -> None:
        """Begin to work. Only once registered: a job claimed by a worker unknown is rescued."""
        self._ledger.start()
        self._limits.start()
        self._ownership.start()
        self._worker.start()
        log.info("worker ready", worker=self.name, queues=sorted(self._broker.queues))

    @property
    def beats(self) -> bool:
        """Whether its heartbeat goes on, or is still waiting for the database."""
        return self._heartbeat.is_alive

    @property
    def is_whole(self) -> bool:
        """Whether every thread lives."""
        threads: list[Any] = [*self._worker.workers, *self._worker.consumers.values()]
        return (
            all(thread.is_alive() for thread in threads)
            and self._ledger.is_alive
            and self.beats
            and self._limits.is_alive
            and self._ownership.is_alive
        )

    def stuck(self, margin: timedelta) -> list[Attempt]:
        """The attempts that go on although their time was over `margin` ago."""
        return [attempt for attempt in self._desk.attempts if attempt.is_stuck(margin)]

    def replace(self, stuck: Collection[Attempt]) -> None:
        """Give these up and all others back: the process must end, the threads cannot be ended."""
        for attempt in stuck:
            log.critical(
                "stuck past its time limit", job=str(attempt.job.id), stack=attempt.where()
            )
            attempt.give_up()
        self._stop_taking()
        self._hand_back(set(self._desk.attempts) - set(stuck))
        self._leave()

    def stop(self, grace: timedelta) -> None:
        """Take no more; let what runs finish within `grace`, and give back what does not."""
        log.info("worker stopping", worker=self.name)
        deadline = time.monotonic() + grace.total_seconds()
        self._ledger.give_up_at(deadline + RECORDING.total_seconds())
        self._stop_taking()
        self._hand_back(each for each in self._desk.attempts if not each.has_begun)
        self._ledger.nudge()
        for thread in self._worker.workers:
            thread.join(max(0, deadline - time.monotonic()))
        self._await_ledger()
        self._hand_back(self._desk.attempts)
        self._leave()

    def _stop_taking(self) -> None:
        """Close the consumers first, so that others get at once what was only prefetched.

        That takes back the messages of running jobs too; whoever gets them finds the jobs running,
        and drops them.
        """
        self._ownership.close()
        self._ledger.stop_waiting()
        consumers = self._worker.consumers.values()
        for worker in self._worker.workers:
            worker.stop()
        self._claims.stop()
        for consumer in consumers:
            consumer.stop()
        _all_within(CLOSING_SECONDS, *(partial(_close, consumer) for consumer in consumers))
        self._await_ledger()

    def _await_ledger(self) -> None:
        """Until it has answered all claims and successes that were handed in."""
        with suppress(LedgerClosed):
            self._ledger.write(LOOK, {})

    def _hand_back(self, attempts: Iterable[Attempt]) -> None:
        for attempt in attempts:
            log.warning("handed back", job=str(attempt.job.id), had_begun=attempt.has_begun)
            with suppress(LedgerClosed):
                attempt.hand_back()
            if not attempt.has_begun:
                self._desk.clear(attempt.place)

    def _leave(self) -> None:
        self._ledger.nudge()
        self._ledger.close()
        _all_within(FAREWELL_SECONDS, self._heartbeat.close, self._broker.close)
        self._limits.close()
        self._engine.dispose()

    def _prepare(self, dispatch: Dispatch, claim: Any) -> Attempt:
        return self._runners[dispatch.kind].prepare(dispatch, claim)

    def _register(self, actor: Actor) -> None:
        sessions = sessionmaker(self._engine, expire_on_commit=False)
        runner = Runner(
            actor,
            self._ledger,
            sessions,
            self._limits,
            self._desk,
            self._claims,
            self._patience,
        )
        self._runners[actor.kind.name] = runner
        dramatiq.Actor(
            runner,
            broker=self._broker,
            actor_name=actor.kind.name,
            queue_name=actor.kind.queue,
            priority=0,
            options={"throws": (Dead, GiveBack)},
        )


def _end_within(bound: timedelta) -> None:
    """Have the process end itself after that, whatever it waits for."""
    faulthandler.dump_traceback_later(bound.total_seconds(), exit=True)


def _close(consumer: Any) -> None:
    consumer.join()
    consumer.close()


def _all_within(seconds: float, *calls: Callable[[], None]) -> None:
    """Call them all at once, and wait no longer than that: each may wait for a silent server."""
    deadline = time.monotonic() + seconds
    threads = [threading.Thread(target=call, daemon=True) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0, deadline - time.monotonic()))
