"""Makes dead letters of messages that the broker refuses again and again."""

from typing import Any

import psycopg
import structlog
from psycopg import AsyncConnection

from outbox.amqp import foreign_headers, outgoing
from outbox.amqp.outgoing import Outgoing
from outbox.postgres.refused_records import first_line, is_about_one
from outbox.relay.unpublishable import FAILURES_ALLOWED, REASON
from outbox.store import sequences, transitions

log = structlog.get_logger(__name__)


async def bury(database: AsyncConnection[Any], message: Outgoing, why: str) -> None:
    """Make it a dead letter with its bytes, in a transaction of its own.

    If the tables refuse that, it stays deferred, and this is tried again after the next attempt to
    send it. Raises psycopg's other errors.
    """
    letter = {
        "id": message.id,
        "failures": FAILURES_ALLOWED,
        "queue": destination(message.exchange, message.routing_key),
        "reason": REASON,
        "why": f"the broker refused it {FAILURES_ALLOWED} times: {why}",
        "headers": foreign_headers.as_json(outgoing.decode(message.properties)),
    }
    try:
        await database.execute(transitions.BURY_MESSAGE, letter)
    except psycopg.Error as error:
        if not is_about_one(error):
            raise
        await sequences.advance_async(database)
        log.error("message not buried", message=message.id, why=first_line(error))  # noqa: TRY400 - a traceback quotes the row


def destination(exchange: str, routing_key: str) -> str:
    """Where a message goes, as OpenTelemetry names it."""
    return ":".join(filter(None, (exchange, routing_key)))
