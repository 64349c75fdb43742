"""The wake-up call to the relays: best effort, where the work itself is certain.

Sent after the commit and on a connection of its own, never inside a business transaction: NOTIFY
takes an instance-wide lock at commit, which would line all writers up. Relays that miss it look by
themselves before long.
"""

import asyncio
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg import AsyncConnection, Connection
from psycopg.conninfo import make_conninfo
from psycopg.pq import TransactionStatus
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
        self._conninfo = make_conninfo(conninfo(database_url), **GIVE_UP)
        self._connection: AsyncConnection[Any] | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._socket = -1
        self._is_wanted = False
        self._rest: asyncio.TimerHandle | None = None

    def send(self) -> None:
        """Nudge, now or soon, from the event loop. Want of Postgres is no error."""
        self._is_wanted = True
        if self._rest is None:
            self._nudge()

    async def close(self) -> None:
        """Send what is left, and close the connection."""
        self._rested()
        if self._connecting is not None:
            await self._connecting
        self._disconnect()
        self._is_wanted = False

    def _nudge(self) -> None:
        self._rest = asyncio.get_running_loop().call_later(LEAST_SECONDS, self._rested)
        if self._connection is not None:
            self._notify(self._connection.pgconn)
        elif self._connecting is None:
            self._connecting = asyncio.create_task(self._connect())

    def _rested(self) -> None:
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None
        if self._is_wanted:
            self._nudge()

    def _notify(self, connection: PGconn) -> None:
        """Write it, if the last one is answered.

        psycopg would wait for the answer, in a task that would cost several times as much.
        """
        if connection.transaction_status == TransactionStatus.IDLE:
            self._is_wanted = False
            with self._losing():
                connection.send_query(NOTIFY.encode())
                connection.flush()

    async def _connect(self) -> None:
        self._is_wanted = False
        with suppress(psycopg.Error, OSError):
            self._connection = await AsyncConnection.connect(self._conninfo, autocommit=True)
            connection = self._connection.pgconn
            self._socket = connection.socket
            asyncio.get_running_loop().add_reader(self._socket, self._hear, connection)
            self._notify(connection)
        self._connecting = None

    def _hear(self, connection: PGconn) -> None:
        with self._losing():
            connection.consume_input()
            while not connection.is_busy() and connection.get_result():
                """What the answers are is nobody's concern."""

    @contextmanager
    def _losing(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error:
            self._disconnect()

    def _disconnect(self) -> None:
        if self._connection is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._connection.pgconn.finish()
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
