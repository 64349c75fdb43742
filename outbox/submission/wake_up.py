"""Wakes the relays up with NOTIFY. A wake-up may get lost; the work does not.

It is sent after the commit, over a connection of its own, and never inside a business transaction:
NOTIFY takes an instance-wide lock at commit, which would serialise all writers. Relays that miss a
wake-up find the work at their next poll.
"""

import asyncio
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import structlog
from psycopg import AsyncConnection, Connection, generators
from psycopg.conninfo import make_conninfo
from psycopg.pq import ExecStatus, TransactionStatus
from psycopg.pq.abc import PGconn

from outbox.postgres.address import conninfo
from outbox.postgres.session_settings import connect_async, is_pooled
from outbox.submission.rate_limit import RateLimit

log = structlog.get_logger(__name__)

CHANNEL = "duly_relay"
NOTIFY = f"NOTIFY {CHANNEL}"
TIMEOUT_SECONDS = 5
TIMEOUTS = {"connect_timeout": TIMEOUT_SECONDS, "tcp_user_timeout": TIMEOUT_SECONDS * 1000}


class WakeUp:
    """Wakes the relays up from an event loop that serves requests.

    However many requests ask for it, wake-ups go out only as often as a `RateLimit` allows. While
    Postgres is reachable, a wake-up follows the last request. No request waits for it. It belongs
    to the event loop in which it is first asked.
    """

    def __init__(self, database_url: str) -> None:
        self._conninfo = make_conninfo(conninfo(database_url), **TIMEOUTS)
        self._connection: AsyncConnection[Any] | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._socket = -1
        self._is_wanted = False
        self._is_unanswered = False
        self._rate_limit = RateLimit()
        self._interval: asyncio.TimerHandle | None = None

    def send(self) -> None:
        """Send a wake-up now or soon, from the event loop. An unreachable Postgres is no error."""
        self._is_wanted = True
        self._send_if_possible()

    async def close(self) -> None:
        """Send a wanted wake-up, unless the one before it is still unanswered, and disconnect."""
        self._end_interval()
        while self._connecting is not None:
            await asyncio.wait([self._connecting])
        self._disconnect()
        self._is_wanted = False

    def _send_if_possible(self) -> None:
        """Send a wanted wake-up unless something blocks it; whatever does calls this at its end."""
        is_busy = self._interval or self._connecting or self._is_unanswered
        if self._is_wanted and not is_busy:
            self._send_now()

    def _send_now(self) -> None:
        loop = asyncio.get_running_loop()
        self._interval = loop.call_at(self._rate_limit.spend(loop.time()), self._end_interval)
        if self._connection is not None:
            self._write(self._connection.pgconn)
        else:
            self._connecting = asyncio.create_task(self._connect())

    def _end_interval(self) -> None:
        if self._interval is not None:
            self._interval.cancel()
            self._interval = None
        self._send_if_possible()

    async def _connect(self) -> None:
        self._is_wanted = False
        try:
            self._connection = await AsyncConnection.connect(self._conninfo, autocommit=True)
            connection = self._connection.pgconn
            self._socket = connection.socket
            asyncio.get_running_loop().add_reader(self._socket, self._read, connection)
            self._write(connection)
        except (psycopg.Error, OSError):
            """Postgres is away: relays find the work at their next poll."""
        finally:
            self._connecting = None
            self._send_if_possible()

    def _write(self, connection: PGconn) -> None:
        """Send NOTIFY. `_read` takes the answer: a task that waits costs several times as much."""
        self._is_wanted, self._is_unanswered = False, True
        with self._disconnect_if_lost():
            connection.send_query(NOTIFY.encode())
            connection.flush()

    def _read(self, connection: PGconn) -> None:
        """Read the answer. All that matters is that it has come."""
        with self._disconnect_if_lost():
            connection.consume_input()
            while not connection.is_busy() and connection.get_result():
                pass
            self._is_unanswered = connection.transaction_status != TransactionStatus.IDLE
        self._send_if_possible()

    @contextmanager
    def _disconnect_if_lost(self) -> Iterator[None]:
        """If the connection is lost, disconnect and send an unanswered wake-up again."""
        try:
            yield
        except psycopg.Error:
            self._is_wanted |= self._is_unanswered
            self._disconnect()
            self._send_if_possible()

    def _disconnect(self) -> None:
        self._is_unanswered = False
        if self._connection is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._connection.pgconn.finish()
            self._connection = None


class BlockingWakeUp:
    """Wakes the relays up from synchronous code: a script, or a framework of threads.

    It drops every wake-up that comes before its `RateLimit` allows it, even the last one: relays
    poll again that much later. Threads may share it.
    """

    def __init__(self, database_url: str) -> None:
        self._conninfo = make_conninfo(conninfo(database_url), **TIMEOUTS)
        self._connection: Connection[Any] | None = None
        self._rate_limit = RateLimit()
        self._next_at = -math.inf
        self._lock = threading.Lock()

    def send(self) -> None:
        """Send a wake-up, or drop it. An unreachable Postgres is no error.

        Once connected, it waits only for the answer to its last wake-up, for as long as that takes.
        """
        with self._lock:
            now = time.monotonic()
            if now >= self._next_at:
                # Counted from now, not from the sending: relays count from the arrival.
                self._next_at = self._rate_limit.spend(now)
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
        self._read_answer()
        try:
            if self._connection is None:
                self._connection = Connection.connect(self._conninfo, autocommit=True)
            self._connection.pgconn.send_query(NOTIFY.encode())
            self._connection.pgconn.flush()
        except (psycopg.Error, OSError):
            self._disconnect()

    def _read_answer(self) -> None:
        """Wait for the answer to the last wake-up; disconnect if it ends the connection."""
        if self._connection is not None:
            try:
                answers = self._connection.wait(generators.fetch_many(self._connection.pgconn))
            except psycopg.Error:
                self._disconnect()
            else:
                if any(each.status == ExecStatus.FATAL_ERROR for each in answers):
                    self._disconnect()  # the backend was terminated, for example


async def listen(database_url: str, on_wake_up: Callable[[], None]) -> None:
    """Call `on_wake_up` once it listens, and at each wake-up, forever.

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
        await _receive(connection.pgconn, on_wake_up)


async def _receive(connection: PGconn, on_wake_up: Callable[[], None]) -> None:
    """Call `on_wake_up` at each notification, until the connection is lost.

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
        while connection.notifies():
            on_wake_up()

    socket = connection.socket
    loop.add_reader(socket, read)
    try:
        await lost
    finally:
        loop.remove_reader(socket)
