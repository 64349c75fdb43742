"""The worker process: Dramatiq's worker threads around our runners."""

import signal
import threading
from collections.abc import Collection
from datetime import timedelta
from typing import Any
from uuid import UUID

import dramatiq
import structlog
from sqlalchemy import create_engine
from sqlalchemy.orm import sessionmaker

from outbox.actor import Actor, Actors
from outbox.broker import Broker, Dead, GiveBack
from outbox.database import sqlalchemy_url
from outbox.heartbeat import Heartbeat, worker_name
from outbox.ledger import Ledger
from outbox.runner import Runner
from outbox.time_limit import TimeLimits

log = structlog.get_logger(__name__)

LOOK_SECONDS = 1.0


def run(
    *,
    actors: Actors,
    database_url: str,
    amqp_url: str,
    queues: Collection[str] | None = None,
    threads: int = 8,
    grace: timedelta = timedelta(seconds=60),
) -> int:
    """Work until SIGTERM or SIGINT; returns the exit code for the process.

    Only jobs of `queues` are done, by default of all that the actors have. When told to stop, what
    runs may finish within `grace`. Returns 1 at once when a thread has died: a supervisor starts
    the process again, where a worker short of threads would look alive and do ever less.
    """
    worker = Worker(actors, database_url, amqp_url, queues, threads)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    worker.register()
    while not worker.is_registered(LOOK_SECONDS):
        if stop.is_set():
            return 0
    worker.start()
    while not stop.wait(LOOK_SECONDS):
        if not worker.is_whole:
            log.critical("a thread of this worker has died")
            return 1
    worker.stop(grace)
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
    ) -> None:
        self.name = worker_name()
        self._engine = create_engine(
            sqlalchemy_url(database_url),
            pool_size=threads,
            max_overflow=threads,
            hide_parameters=True,  # an error's text is stored and shown
        )
        self._ledger = Ledger(database_url, self.name)
        self._limits = TimeLimits()
        self._held: dict[UUID, object] = {}
        self._broker = Broker(amqp_url)
        chosen = [each for each in actors.values() if not queues or each.kind.queue in queues]
        for actor in chosen:
            self._register(actor)
        self._heartbeat = Heartbeat(
            database_url, self.name, {each.kind.queue for each in chosen}, threads
        )
        self._worker = dramatiq.Worker(self._broker, worker_threads=threads)

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
        self._worker.start()
        log.info("worker ready", worker=self.name, queues=sorted(self._broker.queues))

    @property
    def is_whole(self) -> bool:
        """Whether every thread lives."""
        threads: list[Any] = [*self._worker.workers, *self._worker.consumers.values()]
        return (
            all(thread.is_alive() for thread in threads)
            and self._ledger.is_alive
            and self._heartbeat.is_alive
            and self._limits.is_alive
        )

    def stop(self, grace: timedelta) -> None:
        """Let what runs finish within `grace`; the rest goes back to the broker and the relay."""
        log.info("worker stopping", worker=self.name)
        self._ledger.stop_waiting()
        self._worker.stop(timeout=int(grace.total_seconds() * 1000))
        self._ledger.close()
        self._heartbeat.close()
        self._limits.close()
        self._broker.close()
        self._engine.dispose()

    def _register(self, actor: Actor) -> None:
        sessions = sessionmaker(self._engine, expire_on_commit=False)
        dramatiq.Actor(
            Runner(actor, self._ledger, sessions, self._limits, self._held),
            broker=self._broker,
            actor_name=actor.kind.name,
            queue_name=actor.kind.queue,
            priority=0,
            options={"throws": (Dead, GiveBack)},
        )
