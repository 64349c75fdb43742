"""The wake-up call to the relays: best effort, where the work itself is certain.

Sent after the commit and on a connection of its own, never inside a business transaction: NOTIFY
takes an instance-wide lock at commit, which would line all writers up. Relays that miss it look by
themselves before long.
"""

import asyncio
import math
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psycopg
from psycopg import AsyncConnection, Connection
from psycopg.conninfo import make_conninfo
from psycopg.pq.abc import PGconn

from outbox.database import conninfo

CHANNEL = "duly_relay"
NOTIFY = f"NOTIFY {CHANNEL}"
LEAST_SECONDS = 0.005
"""Between two nudges of one sender: less than `BREATH_SECONDS` of the relay, see there."""
LONGEST_SECONDS = 5
GIVE_UP = {"connect_timeout": LONGEST_SECONDS, "tcp_user_timeout": LONGEST_SECONDS * 1000}


class Nudge:
    """Nudges the relays from a process that serves requests, coalesced.

    However many requests ask for it, there is one nudge in `LEAST_SECONDS`; the last that asks is
    heard. None of them waits for it: the next request of its client would wait as well.
    """

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url
        self._connection: AsyncConnection[Any] | None = None
        self._is_wanted = False
        self._sending: asyncio.Task[None] | None = None

    def send(self) -> None:
        """Nudge soon, from the event loop. Waits for nothing; want of Postgres is no error."""
        self._is_wanted = True
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send_all())

    async def close(self) -> None:
        """Send what is left, and close the connection."""
        if self._sending is not None:
            await self._sending
        await self._disconnect()

    async def _send_all(self) -> None:
        while self._is_wanted:
            self._is_wanted = False
            await self._send()
            await asyncio.sleep(LEAST_SECONDS)

    async def _send(self) -> None:
        try:
            async with asyncio.timeout(LONGEST_SECONDS):
                await (await self._connected()).execute(NOTIFY)
        except (psycopg.Error, OSError, TimeoutError):
            await self._disconnect()

    async def _connected(self) -> "AsyncConnection[Any]":
        if self._connection is None:
            self._connection = await AsyncConnection.connect(
                conninfo(self._database_url), autocommit=True
            )
        return self._connection

    async def _disconnect(self) -> None:
        if self._connection is not None:
            with suppress(psycopg.Error, OSError):
                await self._connection.close()
            self._connection = None


class BlockingNudge:
    """Nudges the relays from plain code, coalesced: a script, or a framework of threads.

    It sends at most once in `LEAST_SECONDS` and leaves out those in between, also the last: relays
    look again so much later. Threads may share it.
    """

    def __init__(self, database_url: str) -> None:
        self._conninfo = make_conninfo(conninfo(database_url), **GIVE_UP)
        self._connection: Connection[Any] | None = None
        self._sent_at = -math.inf
        self._lock = threading.Lock()

    def send(self) -> None:
        """Nudge, in one round trip or none. Never raises for want of Postgres."""
        with self._lock:
            now = time.monotonic()
            if now >= self._sent_at + LEAST_SECONDS:
                self._sent_at = now  # and not when it is through: relays count from its arrival
                self._send()

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._disconnect()

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _send(self) -> None:
        try:
            if self._connection is None:
                self._connection = Connection.connect(self._conninfo, autocommit=True)
            self._connection.execute(NOTIFY)
        except (psycopg.Error, OSError):
            self._disconnect()


async def listen(database_url: str, on_nudge: Callable[[], None]) -> None:
    """Call `on_nudge` once it listens and at each nudge, for ever.

    Raises psycopg's errors; call it again then. What was missed meanwhile is the first call's.
    """
    async with await AsyncConnection.connect(conninfo(database_url), autocommit=True) as connection:
        await connection.execute(f"LISTEN {CHANNEL}")
        on_nudge()
        await _hear(connection.pgconn, on_nudge)


async def _hear(connection: PGconn, on_nudge: Callable[[], None]) -> None:
    """As `AsyncConnection.notifies`, which costs twice as much a nudge and wakes up without one."""
    loop = asyncio.get_running_loop()
    lost: asyncio.Future[None] = loop.create_future()

    def hear() -> None:
        try:
            connection.consume_input()
        except psycopg.Error as error:
            loop.remove_reader(socket)
            lost.set_exception(error)
        while connection.notifies():
            on_nudge()

    socket = connection.socket
    loop.add_reader(socket, hear)
    try:
        await lost
    finally:
        loop.remove_reader(socket)
