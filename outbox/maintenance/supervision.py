"""Runs a duty of a process again after each error, whether an outage or a bug."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import psycopg
import structlog

from outbox.backoff import Backoff
from outbox.maintenance.outages import is_outage
from outbox.postgres.refused_records import first_line

log = structlog.get_logger(__name__)

Duty = Callable[[], Awaitable[None]]

FIRST_BACKOFF_SECONDS = 0.2
LONGEST_BACKOFF_SECONDS = 2.0
BACKOFF_RESETS_AFTER_SECONDS = 30.0
"""A duty that ran for longer before it failed starts with the first backoff again."""


async def supervise(duty: str, run: Duty) -> None:
    """Run the duty until it returns, restarting it after each error."""
    backoff = Backoff(FIRST_BACKOFF_SECONDS, LONGEST_BACKOFF_SECONDS)
    reported = ""
    while True:
        began = time.monotonic()
        try:
            return await run()
        except Exception as error:  # noqa: BLE001 - a bug in one duty must not end the others
            if time.monotonic() - began > BACKOFF_RESETS_AFTER_SECONDS:
                backoff.reset()
            pause = backoff.pause()
            _report(duty, error, pause, is_new=str(error) != reported)
            reported = str(error)
        await asyncio.sleep(pause)


def _report(duty: str, error: Exception, pause: float, *, is_new: bool) -> None:
    """Log an outage in one line, and a bug with its traceback unless the last was the same."""
    if is_outage(error):
        lost = "Postgres" if isinstance(error, psycopg.Error) else "RabbitMQ"
        why = f"{lost}: {first_line(error)}"
        log.warning("waiting", duty=duty, why=why, delay_seconds=round(pause, 1))
    else:
        trace = error if is_new else None
        log.error("a duty failed", duty=duty, error=first_line(error), exc_info=trace)
