"""The relay process: relays, collects dead letters, rescues, prunes, and listens for nudges.

Each duty holds its own connections, so that none waits for another. One that fails starts again
with a growing pause, be it that it lost Postgres or RabbitMQ, or by a bug; the others go on.
"""

import asyncio
import faulthandler
import signal
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import timedelta

import psycopg
import structlog

from outbox import upkeep
from outbox.backoff import Backoff
from outbox.collector import Collector
from outbox.nudge import listen
from outbox.outage import is_outage
from outbox.pruner import Pruner
from outbox.refused import first_line
from outbox.relay import Relay
from outbox.rescuer import Rescuer

log = structlog.get_logger(__name__)

Duty = Callable[[], Awaitable[None]]

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 2.0
LASTING_SECONDS = 30.0
"""A run of so long was no part of the outage before it."""
LANDING_SECONDS = 7.0
"""How long after a signal it waits for what is on its way."""
LONGEST_SECONDS = 9.5
"""How long after a signal the process may go on, whatever holds it up."""


async def run(
    *,
    database_url: str,
    listen_url: str | None = None,
    amqp_url: str,
    queues: Iterable[str],
    window: int,
    silence: timedelta = timedelta(seconds=10),
    patience: timedelta = timedelta(seconds=30),
    retention: timedelta | None = timedelta(days=30),
) -> None:
    """Do all duties until SIGTERM or SIGINT; the batch in hand is finished first.

    `listen_url` leads to the same Postgres past a pooler, for nudges; behind one it polls.
    `queues` are served from the start, others as soon as they have events or workers. `silence` is
    how long a worker may send no heartbeat before its jobs are rescued, `patience` how long a
    published job may go unclaimed before the relay looks whether the broker lost it. Jobs that
    succeeded or were cancelled are deleted after `retention`, or never where it is None.

    A batch that Postgres or RabbitMQ does not answer for is given up LANDING_SECONDS after the
    signal, and published again by another relay. This returns then, and leaves asyncio tasks that
    still wait: the caller ends the process without waiting for them. The process ends itself
    LONGEST_SECONDS after the signal at the latest.
    """
    relay = Relay(database_url, amqp_url, queues, window=window, patience=patience)
    collector = Collector(database_url, amqp_url, relay.queues)
    rescuer = Rescuer(database_url, silence, on_rescue=relay.nudge)
    duties = {
        "collector": collector.run,
        "rescuer": rescuer.run,
        "upkeep": lambda: upkeep.run(database_url),
        "listener": lambda: listen(listen_url or database_url, relay.nudge),
    }
    if retention is not None:
        duties["pruner"] = Pruner(database_url, retention).run
    work = asyncio.create_task(_do_all(relay, duties))
    if await _ends_in_time(work, relay.stop):
        await work
        faulthandler.cancel_dump_traceback_later()
        log.info("relay stopped")
    else:
        log.warning("relay stopped without an answer", why="Postgres or RabbitMQ is silent")


async def _do_all(relay: Relay, duties: Mapping[str, Duty]) -> None:
    """Until the relay was stopped, which ends the other duties."""
    async with asyncio.TaskGroup() as group:
        others = [group.create_task(_keep(duty, run)) for duty, run in duties.items()]
        await _keep("relay", relay.run)
        for other in others:
            other.cancel()


async def _ends_in_time(work: "asyncio.Task[None]", stop: Callable[[], None]) -> bool:
    """Wait until the work ends: by itself, or after a signal, for LANDING_SECONDS at most."""
    told = asyncio.Event()

    def end() -> None:
        faulthandler.dump_traceback_later(LONGEST_SECONDS, exit=True)
        stop()
        told.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end)
    telling = asyncio.create_task(told.wait())
    await asyncio.wait({work, telling}, return_when=asyncio.FIRST_COMPLETED)
    if told.is_set():
        await asyncio.wait({work}, timeout=LANDING_SECONDS)
    telling.cancel()
    return work.done()


async def _keep(duty: str, run: Duty) -> None:
    """Run the duty, again after each error; after a run that lasted the pauses are short again."""
    backoff = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
    told = ""
    while True:
        began = time.monotonic()
        try:
            return await run()
        except Exception as error:  # noqa: BLE001 - one duty's bug is no other's
            if time.monotonic() - began > LASTING_SECONDS:
                backoff.reset()
            pause = backoff.pause()
            _tell(duty, error, pause, is_new=str(error) != told)
            told = str(error)
        await asyncio.sleep(pause)


def _tell(duty: str, error: Exception, pause: float, *, is_new: bool) -> None:
    """An outage in a line; a bug with its traceback, unless it was told just before."""
    if is_outage(error):
        lost = "Postgres" if isinstance(error, psycopg.Error) else "RabbitMQ"
        why = f"{lost}: {first_line(error)}"
        log.warning("waiting", duty=duty, why=why, again_in=round(pause, 1))
    else:
        trace = error if is_new else None
        log.error("a duty failed", duty=duty, error=first_line(error), exc_info=trace)
