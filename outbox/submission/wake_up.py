"""The wake-ups of relays. A wake-up may get lost; the work does not.

It is a NOTIFY, sent after the commit, over a connection of its own, and never inside a business
transaction: NOTIFY takes an instance-wide lock at commit, which would serialise all writers. Relays
that miss a wake-up find the work at their next poll.
"""

import asyncio
from collections.abc import Callable, Mapping
from types import MappingProxyType

import psycopg
import structlog
from psycopg.pq.abc import PGconn

from outbox.postgres.session_settings import connect_async, is_pooled

log = structlog.get_logger(__name__)

CHANNEL = "duly_relay"
NOTIFY = f"NOTIFY {CHANNEL}"
MEMBERS, KEYS, QUEUES, LIMITS = b"members", b"keys", b"queues", b"limits"
"""Say that members of batches have ended, that jobs with keys were submitted or have ended, that a
queue was paused or resumed, and that the limit of a key was set or cleared. A relay of an earlier
release takes them for wake-ups."""
NOTIFY_MEMBERS = f"NOTIFY {CHANNEL}, '{MEMBERS.decode()}'"
NOTIFY_KEYS = f"NOTIFY {CHANNEL}, '{KEYS.decode()}'"

Callback = Callable[[], None]


async def listen(
    database_url: str,
    on_wake_up: Callback,
    others: Mapping[bytes, Callback] = MappingProxyType({}),
) -> None:
    """Call `on_wake_up` once it listens, and at each wake-up, forever.

    `others` are called instead at notifications that say MEMBERS, KEYS, QUEUES or LIMITS.

    Raises psycopg's errors; call it again then. Its first call makes up for what was missed.
    A pooler passes no notifications on: behind one it only waits, and relays poll.
    """
    async with await connect_async(database_url) as connection:
        if is_pooled(connection):
            log.info("no wake-ups through a pooler, so relays poll")
            await connection.close()
            await asyncio.Future()
        await connection.execute(f"LISTEN {CHANNEL}")
        on_wake_up()
        await _receive(connection.pgconn, on_wake_up, others)


async def _receive(
    connection: PGconn, on_wake_up: Callback, others: Mapping[bytes, Callback]
) -> None:
    """Call one of them at each notification, until the connection is lost.

    `AsyncConnection.notifies` costs twice as much for each, and wakes up even without one.
    """
    loop = asyncio.get_running_loop()
    lost: asyncio.Future[None] = loop.create_future()

    def read() -> None:
        try:
            connection.consume_input()
        except psycopg.Error as error:
            loop.remove_reader(socket)
            lost.set_exception(error)
        while notification := connection.notifies():
            others.get(notification.extra, on_wake_up)()

    socket = connection.socket
    loop.add_reader(socket, read)
    try:
        await lost
    finally:
        loop.remove_reader(socket)
