"""The relay process: publishes, collects dead letters, makes ticks, settles batches, rescues,
expires and prunes.

Each duty has its own connections, so that none waits for another. One that fails is restarted after
a growing backoff, whether it lost Postgres or RabbitMQ or has a bug; the others go on.
"""

import asyncio
import faulthandler
import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta

import structlog

from outbox import event_log
from outbox.maintenance import message_pruner, upkeep
from outbox.maintenance.batch_folder import BatchFolder
from outbox.maintenance.dead_letter_collector import DeadLetterCollector
from outbox.maintenance.expirer import Expirer
from outbox.maintenance.pruner import Pruner
from outbox.maintenance.rescuer import Rescuer
from outbox.maintenance.scheduler import Scheduler
from outbox.maintenance.supervision import Duty, supervise
from outbox.relay.loop import Relay
from outbox.relay.outgoing.loop import OutgoingMessages
from outbox.schedules.schedule import Schedule
from outbox.submission.wake_up import listen

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
    silence: timedelta = timedelta(seconds=10),
    patience: timedelta = timedelta(seconds=30),
    retention: timedelta | None = timedelta(days=30),
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
    messages to other services after `keep_events`, and what is known of received ones after
    `keep_received`. `schedules` are those that the app's code declares.

    A batch that Postgres or RabbitMQ does not answer for is given up DRAIN_SECONDS after the
    signal, and another relay publishes it again. This then returns and leaves asyncio tasks that
    still wait: the caller ends the process without waiting for them. The process ends itself
    LONGEST_SECONDS after the signal at the latest.
    """
    event_log.subscribe()
    outgoing = OutgoingMessages(database_url, amqp_url)
    relay = Relay(
        database_url, amqp_url, queues, window=window, patience=patience, on_sweep=outgoing.look
    )
    collector = DeadLetterCollector(database_url, amqp_url, relay.queues)
    rescuer = Rescuer(database_url, silence, on_rescue=relay.wake_up)
    folder = BatchFolder(database_url, on_callbacks=relay.wake_up)

    def wake_up() -> None:
        relay.wake_up()
        outgoing.wake_up()

    def stop() -> None:
        relay.stop()
        outgoing.stop()

    settling = {"relay": relay.run, "messages": outgoing.run}
    duties = {
        "collector": collector.run,
        "rescuer": rescuer.run,
        "expirer": Expirer(database_url).run,
        "message pruner": lambda: message_pruner.run(database_url, keep_events, keep_received),
        "upkeep": lambda: upkeep.run(database_url),
        "scheduler": Scheduler(database_url, schedules, on_tick=relay.wake_up).run,
        "batches": folder.run,
        "listener": lambda: listen(listen_url or database_url, wake_up, folder.wake_up),
    }
    if retention is not None:
        duties["pruner"] = Pruner(database_url, retention).run
    work = asyncio.create_task(_run_duties(settling, duties))
    if await _ends_in_time(work, stop):
        await work
        faulthandler.cancel_dump_traceback_later()
        log.info("relay stopped")
    else:
        log.warning("relay stopped without an answer", why="Postgres or RabbitMQ is silent")


async def _run_duties(settling: Mapping[str, Duty], duties: Mapping[str, Duty]) -> None:
    """Run until those that settle what is in flight were stopped, then cancel the others."""
    async with asyncio.TaskGroup() as group:
        others = [group.create_task(supervise(duty, run)) for duty, run in duties.items()]
        await asyncio.gather(*(supervise(duty, run) for duty, run in settling.items()))
        for other in others:
            other.cancel()


async def _ends_in_time(work: "asyncio.Task[None]", stop: Callable[[], None]) -> bool:
    """Wait until the work ends by itself, or for DRAIN_SECONDS after a signal; whether it ended."""
    signalled = asyncio.Event()

    def end() -> None:
        faulthandler.dump_traceback_later(LONGEST_SECONDS, exit=True)
        stop()
        signalled.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end)
    waiting = asyncio.create_task(signalled.wait())
    await asyncio.wait({work, waiting}, return_when=asyncio.FIRST_COMPLETED)
    if signalled.is_set():
        await asyncio.wait({work}, timeout=DRAIN_SECONDS)
    waiting.cancel()
    return work.done()
