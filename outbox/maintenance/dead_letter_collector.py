"""Collects every `<queue>.XQ` into the table dead_letters, whoever put the messages there.

A message is acknowledged only after its row has committed. If the relay dies in between, it is
delivered again: a job's dead letter is still written once, a foreign message may be listed twice.
"""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import psycopg
import structlog
from psycopg import AsyncConnection

from outbox.amqp import foreign_headers, messages, topology
from outbox.amqp.connection import connect
from outbox.amqp.queue_backoff import QueueBackoff
from outbox.listeners import measures
from outbox.listeners.measures import Redispatched
from outbox.maintenance.dead_letter_consumer import DeadMessage
from outbox.maintenance.dead_letter_consumers import DeadLetterConsumers
from outbox.maintenance.outages import is_outage
from outbox.postgres.refused_records import first_line, is_about_data, is_about_one
from outbox.postgres.replication import CommitWatch
from outbox.postgres.session_settings import connect_async
from outbox.store import sequences, transitions
from outbox.values.way import way

log = structlog.get_logger(__name__)

POLL_SECONDS = 1.0
"""How soon the collector consumes from a queue that the relay has discovered."""
REJECTED_DELAY_SECONDS = 5.0
"""How long a job waits after a worker of an earlier release has rejected its message.

Such a worker rejects every kind that it does not know, and would do so again at once.
"""
_KEEP_FOREIGN = transitions.KEEP_FOREIGN.replace("%(body)s", "%(body)b")
"""The body in binary: as text it is twice as large, and RabbitMQ takes messages up to 512 MiB."""


class DeadLetterCollector:
    """Consumes the dead-letter queues of `queues`, a collection that may grow meanwhile."""

    def __init__(self, database_url: str, amqp_url: str, queues: Collection[str]) -> None:
        self._database_url = database_url
        self._amqp_url = amqp_url
        self._queues = queues
        self._queue_backoff = QueueBackoff()

    async def run(self) -> None:
        """Collect for ever. Raises BrokerGone or psycopg's errors; call it again then.

        A message whose commit did not wait for a standby is not acknowledged: Unreplicated is
        raised, and the message is delivered again.
        """
        async with (
            await connect_async(self._database_url) as database,
            connect(self._amqp_url) as broker,
        ):
            await sequences.advance_async(database)
            consumers = DeadLetterConsumers(broker, self._queue_backoff)
            watch = CommitWatch(database)
            while True:
                await consumers.open(filter(topology.is_name, self._queues))
                message = await consumers.next(POLL_SECONDS)
                if message is not None:
                    await _keep_or_defer(database, watch, message)


async def _keep_or_defer(
    database: AsyncConnection[Any], watch: CommitWatch, message: DeadMessage
) -> None:
    """Keep and acknowledge the message, or defer it if the tables refuse it; others go on."""
    try:
        with watch.commit():
            await _keep_in_any_form(database, message)
    except psycopg.Error as error:
        if not is_about_one(error):
            raise
        log.error("dead message put off", queue=message.queue, why=first_line(error))  # noqa: TRY400 - a traceback quotes the row
        if sequences.is_duplicate(error):
            await sequences.advance_async(database)
        message.defer()
    else:
        message.acknowledge()


async def _keep_in_any_form(database: AsyncConnection[Any], message: DeadMessage) -> None:
    """Keep the message, if need be without its headers: otherwise it would come back for ever."""
    try:
        await keep(database, message)
    except Exception as error:
        if is_outage(error) or (isinstance(error, psycopg.Error) and not is_about_data(error)):
            raise
        log.error("dead message kept without its headers", queue=message.queue, stack=way(error))  # noqa: TRY400 - its text may quote them
        await _keep_foreign(database, replace(message, headers={}), "its headers are unreadable")


async def keep(database: AsyncConnection[Any], message: DeadMessage) -> None:
    """Write the message down: as part of its job's dead letter, as a new one, or not at all.

    Anybody may put a message there, with any headers, so it kills no job. If its job still waits to
    be claimed, the job is published again. If its job has moved on, the message is dropped.
    """
    try:
        dispatch = messages.decode(message.body, message.queue)
    except messages.Malformed as why:
        await _keep_foreign(database, message, str(why))
        return
    job = {"job_id": dispatch.job_id, "dispatch": dispatch.dispatch}
    attached = {"body": message.body, "headers": foreign_headers.as_json(message.headers)}
    if await _fetch_one(database, transitions.ATTACH_MESSAGE, job | attached):
        return
    again = {
        "kind": dispatch.kind,
        "queue": dispatch.queue,
        "delay_seconds": REJECTED_DELAY_SECONDS if message.cause == "rejected" else 0,
    }
    if await _fetch_one(database, transitions.REDISPATCH, job | again):
        log.info(
            "dead message published again",
            job=dispatch.job_id,
            kind=dispatch.kind,
            cause=message.cause,
        )
        measures.emit(Redispatched(queue=dispatch.queue, jobs=1))
    elif not await _fetch_one(database, transitions.JOB_EXISTS, job):
        await _keep_foreign(database, message, "it names a job that does not exist")


async def _keep_foreign(database: AsyncConnection[Any], message: DeadMessage, why: str) -> None:
    log.warning("foreign message quarantined", queue=message.queue, why=why, cause=message.cause)
    parameters = {
        "queue": [message.queue],
        "error_message": [f"{why} (RabbitMQ: {message.cause})"],
        "body": [message.body],
        "headers": [foreign_headers.as_json(message.headers)],
    }
    await _fetch_one(database, _KEEP_FOREIGN, parameters)


async def _fetch_one(
    database: AsyncConnection[Any], statement: str, parameters: dict[str, Any]
) -> Any:
    return await (await database.execute(statement, parameters)).fetchone()
