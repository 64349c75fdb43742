"""The relay process: runs a relay's duties until a signal ends it.

A duty that fails is restarted after a growing backoff, whether it lost Postgres or RabbitMQ or has
a bug; the others go on.
"""

import asyncio
import faulthandler
import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta

import structlog

from outbox import event_log
from outbox.kinds import Kinds
from outbox.maintenance.supervision import Duty, supervise
from outbox.relay.duties import Duties
from outbox.schedules.schedule import Schedule

log = structlog.get_logger(__name__)

DRAIN_SECONDS = 7.0
"""How long after a signal it waits for what is in flight."""
LONGEST_SECONDS = 9.5
"""How long after a signal the process exits at the latest, whatever holds it up."""


async def run(
    *,
    database_url: str,
    listen_url: str | None = None,
    amqp_url: str,
    queues: Iterable[str],
    window: int,
    kinds: Kinds | None = None,
    silence: timedelta = timedelta(seconds=10),
    patience: timedelta = timedelta(seconds=30),
    retention: timedelta | None = timedelta(days=30),
    keep_closed: timedelta | None = None,
    keep_events: timedelta | None = timedelta(days=3),
    keep_received: timedelta | None = timedelta(days=7),
    schedules: Sequence[Schedule] = (),
) -> None:
    """Run all duties until SIGTERM or SIGINT; what is in flight is settled first.

    `listen_url` reaches the same Postgres past a pooler, for wake-ups; through a pooler the relay
    only polls. `queues` are served from the start, others as soon as they have events or workers.
    A worker's jobs are rescued once it has sent no heartbeat for `silence`. A job that is published
    but unclaimed for `patience` is published again if the broker has lost its message. Jobs that
    succeeded or were cancelled are deleted after `retention`, or never if it is None. So are
    closed dead letters with their dead jobs after `keep_closed`, messages to other services after
    `keep_events`, and what is known of received ones after
    `keep_received`. `schedules` are those that the app's code declares, as are `kinds`: of jobs of
    other kinds, one runs at a time for each of their keys.

    A batch that Postgres or RabbitMQ does not answer for is given up DRAIN_SECONDS after the
    signal, or at a second signal, and another relay publishes it again. This then returns and
    leaves asyncio tasks that still wait: the caller ends the process without waiting for them. The
    process ends itself LONGEST_SECONDS after the signal at the latest.
    """
    event_log.subscribe()
    duties = Duties(
        *(database_url, amqp_url, queues),
        listen_url=listen_url,
        window=window,
        kinds=kinds or Kinds(),
        silence=silence,
        patience=patience,
        retention=retention,
        keep_closed=keep_closed,
        keep_events=keep_events,
        keep_received=keep_received,
        schedules=schedules,
    )
    work = asyncio.create_task(_run_duties(duties.settling, duties.others))
    given_up = await _ended(work, duties.stop)
    if given_up:
        log.warning("relay stopped without an answer", why=given_up)
    else:
        await work
        faulthandler.cancel_dump_traceback_later()
        log.info("relay stopped")


async def _run_duties(settling: Mapping[str, Duty], others: Mapping[str, Duty]) -> None:
    """Run until those that settle what is in flight were stopped, then cancel the others."""
    async with asyncio.TaskGroup() as group:
        cancelled = [group.create_task(supervise(duty, run)) for duty, run in others.items()]
        await asyncio.gather(*(supervise(duty, run) for duty, run in settling.items()))
        for task in cancelled:
            task.cancel()


async def _ended(work: "asyncio.Task[None]", stop: Callable[[], None]) -> str | None:
    """Wait until the work ends, by itself or after a signal; why it was given up if it did not."""
    signalled, again = asyncio.Event(), asyncio.Event()

    def end() -> None:
        if signalled.is_set():
            again.set()
            return
        faulthandler.dump_traceback_later(LONGEST_SECONDS, exit=True)
        log.info("relay stopping")
        stop()
        signalled.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end)
    await _first(work, signalled)
    if signalled.is_set():
        await _first(work, again, DRAIN_SECONDS)
    if work.done():
        return None
    return "it was told to stop again" if again.is_set() else "Postgres or RabbitMQ is silent"


async def _first(
    work: "asyncio.Task[None]", event: asyncio.Event, seconds: float | None = None
) -> None:
    """Wait until the work is done, the event is set, or the time is over."""
    waiting = asyncio.create_task(event.wait())
    await asyncio.wait({work, waiting}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
