"""Writes what becomes of foreign messages: jobs, or dead letters."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import psycopg
import structlog
from pydantic_core import to_json
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from outbox.amqp import foreign_headers
from outbox.postgres.any_driver import execute
from outbox.postgres.refused_records import first_line, is_about_one
from outbox.store import transitions
from outbox.submission.submit import submit
from outbox.tracing.tracer import installed
from outbox.worker.receiving.envelope import Received
from outbox.worker.receiving.reading import Readable

log = structlog.get_logger(__name__)

Sessions = Callable[[], AsyncSession]


async def do(sessions: Sessions, messages: Sequence[Readable]) -> None:
    """Commit the jobs of those that were not done before; raises SQLAlchemy's errors.

    If the process dies before the commit, nothing was written, and RabbitMQ delivers them again.
    """
    by_id: dict[tuple[str, str], Readable] = {}
    for each in messages:
        by_id.setdefault((each.received.queue, each.message_id), each)
    asked = [{"queue": queue, "message_id": message_id} for queue, message_id in sorted(by_id)]
    async with sessions() as session, session.begin():
        given = {"messages": to_json(asked).decode()}
        rows = await session.run_sync(
            lambda sync: execute(sync.connection(), transitions.RECEIVE, given).all()
        )
        new = {tuple(row) for row in rows}
        for (queue, message_id), message in by_id.items():
            if message.work and (queue, message_id) in new:
                with _trace_of(message.received):
                    submit(session, message.work, by=f"queue:{queue}")


async def count_delivery(sessions: Sessions, received: Received, message_id: str) -> int:
    """How often it was begun after RabbitMQ had delivered it again; 0 if it is done."""
    given = {"queue": received.queue, "message_id": message_id}
    async with sessions() as session, session.begin():
        found = await session.run_sync(
            lambda sync: execute(sync.connection(), transitions.COUNT_DELIVERY, given).scalar()
        )
    return int(found or 0)


async def quarantine(sessions: Sessions, received: Received, why: str) -> None:
    """Keep the message as a dead letter with its bytes. Raises SQLAlchemy's errors.

    If its headers cannot be stored, it is kept without.
    """
    log.warning("foreign message quarantined", queue=received.queue, why=why)
    try:
        await _keep(sessions, received, why, foreign_headers.as_json(_said(received)))
    except DBAPIError as error:
        if not is_about(error):
            raise
        log.warning(
            "headers of a foreign message are unreadable",
            queue=received.queue,
            why=first_line(error),
        )
        await _keep(sessions, received, "headers of a foreign message are unreadable", "{}")


def is_about(error: DBAPIError) -> bool:
    """Whether Postgres refused just this record, and may well take others."""
    return isinstance(error.orig, psycopg.Error) and is_about_one(error.orig)


async def _keep(sessions: Sessions, received: Received, why: str, headers: str) -> None:
    given = {
        "queue": [received.queue],
        "error_message": [why.replace("\0", "\ufffd")],
        "body": [received.body],
        "headers": [headers],
    }
    async with sessions() as session, session.begin():
        await session.run_sync(lambda sync: sync.connection().exec_driver_sql(_KEEP_FOREIGN, given))


def _trace_of(received: Received) -> AbstractContextManager[object]:
    """A block within which spans belong to the trace of the message, if this process traces."""
    tracer = installed()
    return nullcontext() if tracer is None else tracer.within(received.headers)


def _said(received: Received) -> dict[str, object]:
    """Its properties and headers, as a person has to know them."""
    way = {"exchange": received.exchange, "routing_key": received.routing_key}
    return {**received.properties, **way}


_KEEP_FOREIGN = transitions.KEEP_FOREIGN.replace("%(body)s", "%(body)b")
"""The body in binary: as text it is twice as large."""
