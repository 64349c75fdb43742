"""The worker process: runs a worker until it is told to stop, or has to be replaced."""

import faulthandler
import gc
import signal
import threading
from collections.abc import Callable, Collection
from datetime import timedelta

import structlog

from outbox import event_log
from outbox.actors import Actors
from outbox.consumers import Consumers
from outbox.worker.lease import SILENCE
from outbox.worker.records.unusable_messages import PATIENCE
from outbox.worker.worker import NO_CONSUMERS, TASKS, Worker

log = structlog.get_logger(__name__)

CHECK_SECONDS = 1.0
"""How often the main thread checks that the worker is healthy."""
FROZEN_SECONDS = 30
"""How long the process may be frozen by C code that never releases the interpreter."""
SHUTDOWN_MARGIN = timedelta(seconds=4.5)
"""How long after the grace period a stopping process ends, at the latest."""


def _nobody(_: Worker) -> None:
    """Nobody watches the worker."""


def run(
    *,
    actors: Actors,
    database_url: str,
    amqp_url: str,
    queues: Collection[str] | None = None,
    threads: int = 16,
    tasks: int = TASKS,
    grace: timedelta = timedelta(seconds=25),
    margin: timedelta = timedelta(seconds=30),
    patience: timedelta = PATIENCE,
    silence: timedelta = SILENCE,
    consumers: Consumers = NO_CONSUMERS,
    watch: Callable[[Worker], object] = _nobody,
) -> int:
    """Work until SIGTERM or SIGINT; return the exit code for the process.

    Serves only `queues`, by default all that the actors and consumers have. After the signal,
    running jobs may finish within `grace`; the rest are handed back without spending an attempt.
    After a second signal all are handed back at once. The process ends at most 5 seconds later,
    whatever it waits for. What Postgres has not recorded by then is rescued. A job whose kind or
    payload no worker has understood for `patience` dies. Relays take this worker for dead after
    `silence`: if Postgres is away, jobs with limits are interrupted before. `watch` is told of the
    worker, for its metrics, before it starts.

    Returns 1, as soon as after SIGTERM, if a thread has died or an actor is stuck `margin` past its
    time limit. A supervisor then restarts the process: a worker short of threads would look alive
    and do less and less. If all threads stand still for FROZEN_SECONDS, the process prints their
    stacks and ends itself.
    """
    event_log.subscribe()
    worker = Worker(
        *(actors, database_url, amqp_url, queues, threads, patience, tasks, silence, consumers)
    )
    watch(worker)
    stop = threading.Event()

    def end(*_: object) -> None:
        if stop.is_set():
            _end_within(SHUTDOWN_MARGIN)
            worker.hurry()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    worker.register()
    while not worker.is_registered(CHECK_SECONDS):
        if stop.is_set():
            return 0
        if not worker.has_heartbeat:
            log.critical("the heartbeat thread has died")
            return 1
    faulthandler.dump_traceback_later(FROZEN_SECONDS, exit=True)
    gc.freeze()  # What the imports made lives as long as the process: no collection looks at it.
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


def _end_within(bound: timedelta) -> None:
    """Make the process end itself after `bound`, whatever it waits for."""
    faulthandler.dump_traceback_later(bound.total_seconds(), exit=True)
