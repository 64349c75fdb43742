"""Collects every `<queue>.XQ` into the table dead_letters, whatever put a message there.

A message is acknowledged only after its row has committed. If the relay dies between the two, it
comes again: a job's letter is written once all the same; a foreign message may be listed twice.
"""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import psycopg
import structlog
from psycopg import AsyncConnection

from outbox import headers, sequences, steps, topology, wire
from outbox.intake import DeadMessage
from outbox.intakes import Intakes
from outbox.link import connect
from outbox.outage import is_outage
from outbox.pauses import Pauses
from outbox.postgres import connect_async
from outbox.refused import first_line, is_about_data, is_about_one
from outbox.replication import CommitWatch

log = structlog.get_logger(__name__)

LOOK_SECONDS = 1.0
"""How soon a queue that the relay discovered is collected from."""
REJECTED_SECONDS = 5.0
"""How long a job waits whose message a worker of an earlier release has rejected: it rejects all of
a kind that it does not know, and would do so again at once."""
_KEEP_FOREIGN = steps.KEEP_FOREIGN.replace("%(body)s", "%(body)b")
"""The body in binary: as text it is twice as large, and RabbitMQ takes messages up to 512 MiB."""


class Collector:
    """Consumes the dead-letter queues of `queues`, a collection that may grow meanwhile."""

    def __init__(self, database_url: str, amqp_url: str, queues: Collection[str]) -> None:
        self._database_url = database_url
        self._amqp_url = amqp_url
        self._queues = queues
        self._pauses = Pauses()

    async def run(self) -> None:
        """Collect for ever. Raises BrokerGone or psycopg's errors; call it again then.

        What has committed without waiting for a standby is not acknowledged, and comes again.
        """
        async with (
            await connect_async(self._database_url) as database,
            connect(self._amqp_url) as link,
        ):
            await sequences.move_on(database)
            intakes, watch = Intakes(link, self._pauses), CommitWatch(database)
            while True:
                await intakes.open(filter(topology.is_name, self._queues))
                message = await intakes.next(LOOK_SECONDS)
                if message is not None:
                    await _keep_or_put_off(database, watch, message)


async def _keep_or_put_off(
    database: AsyncConnection[Any], watch: CommitWatch, message: DeadMessage
) -> None:
    """A message that the tables do not take keeps no other waiting."""
    try:
        with watch.commit():
            await _keep_at_any_rate(database, message)
    except psycopg.Error as error:
        if not is_about_one(error):
            raise
        log.error("dead message put off", queue=message.queue, why=first_line(error))  # noqa: TRY400 - the row is in it
        if sequences.is_duplicate(error):
            await sequences.move_on(database)
        message.put_off()
    else:
        message.acknowledge()


async def _keep_at_any_rate(database: AsyncConnection[Any], message: DeadMessage) -> None:
    """What cannot be kept as it should is kept without its headers: it must not come for ever."""
    try:
        await keep(database, message)
    except Exception as error:
        if is_outage(error) or (isinstance(error, psycopg.Error) and not is_about_data(error)):
            raise
        log.exception("odd dead message", queue=message.queue)
        await _keep_foreign(database, replace(message, headers={}), "its headers are unreadable")


async def keep(database: AsyncConnection[Any], message: DeadMessage) -> None:
    """Write the message down: as part of its job's letter, as a new letter, or not at all.

    Anybody may put a message there, with any headers, so that it kills no job. One whose job still
    waits for it is published again; one of a job that has moved on since says nothing any more, and
    is forgotten.
    """
    try:
        dispatch = wire.decode(message.body, message.queue)
    except wire.Malformed as why:
        await _keep_foreign(database, message, str(why))
        return
    job = {"job_id": dispatch.job_id, "dispatch": dispatch.dispatch}
    attached = {"body": message.body, "headers": headers.as_json(message.headers)}
    if await _one(database, steps.ATTACH_MESSAGE, job | attached):
        return
    again = {
        "kind": dispatch.kind,
        "queue": dispatch.queue,
        "delay_seconds": REJECTED_SECONDS if message.cause == "rejected" else 0,
    }
    if await _one(database, steps.REDISPATCH, job | again):
        log.info("turned away, to be published again", job=dispatch.job_id, cause=message.cause)
    elif not await _one(database, steps.JOB_EXISTS, job):
        await _keep_foreign(database, message, "it names a job that does not exist")


async def _keep_foreign(database: AsyncConnection[Any], message: DeadMessage, why: str) -> None:
    log.warning("foreign message quarantined", queue=message.queue, why=why, cause=message.cause)
    parameters = {
        "queue": [message.queue],
        "error_message": [f"{why} (RabbitMQ: {message.cause})"],
        "body": [message.body],
        "headers": [headers.as_json(message.headers)],
    }
    await _one(database, _KEEP_FOREIGN, parameters)


async def _one(database: AsyncConnection[Any], step: str, parameters: dict[str, Any]) -> Any:
    return await (await database.execute(step, parameters)).fetchone()
