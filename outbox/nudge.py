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
from contextlib import contextmanager
from typing import Any

import psycopg
import structlog
from psycopg import AsyncConnection, Connection, generators
from psycopg.conninfo import make_conninfo
from psycopg.pq import ExecStatus, TransactionStatus
from psycopg.pq.abc import PGconn

from outbox.database import conninfo
from outbox.pace import Pace
from outbox.postgres import connect_async, is_pooled

log = structlog.get_logger(__name__)

CHANNEL = "duly_relay"
NOTIFY = f"NOTIFY {CHANNEL}"
LONGEST_SECONDS = 5
GIVE_UP = {"connect_timeout": LONGEST_SECONDS, "tcp_user_timeout": LONGEST_SECONDS * 1000}


class Nudge:
    """Nudges the relays from a process that serves requests, coalesced.

    However many requests ask for it, nudges go out at a `Pace`; while Postgres is there, the last
    that asks is heard. None of them waits for it: the next request of its client would wait as
    well. It belongs to the event loop in which it is first asked.
    """

    def __init__(self, database_url: str) -> None:
        self._conninfo = make_conninfo(conninfo(database_url), **GIVE_UP)
        self._connection: AsyncConnection[Any] | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._socket = -1
        self._is_wanted = False
        self._is_unanswered = False
        self._pace = Pace()
        self._rest: asyncio.TimerHandle | None = None

    def send(self) -> None:
        """Nudge, now or soon, from the event loop. Want of Postgres is no error."""
        self._is_wanted = True
        self._go_on()

    async def close(self) -> None:
        """Send what is left, unless Postgres has yet to answer the last one, and disconnect."""
        self._end_rest()
        while self._connecting is not None:
            await asyncio.wait([self._connecting])
        self._disconnect()
        self._is_wanted = False

    def _go_on(self) -> None:
        """Nudge if that is wanted and can be done; the end of what is in the way calls again."""
        is_busy = self._rest or self._connecting or self._is_unanswered
        if self._is_wanted and not is_busy:
            self._attempt()

    def _attempt(self) -> None:
        loop = asyncio.get_running_loop()
        self._rest = loop.call_at(self._pace.spend(loop.time()), self._end_rest)
        if self._connection is not None:
            self._write(self._connection.pgconn)
        else:
            self._connecting = asyncio.create_task(self._connect())

    def _end_rest(self) -> None:
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None
        self._go_on()

    async def _connect(self) -> None:
        self._is_wanted = False
        try:
            self._connection = await AsyncConnection.connect(self._conninfo, autocommit=True)
            connection = self._connection.pgconn
            self._socket = connection.socket
            asyncio.get_running_loop().add_reader(self._socket, self._read, connection)
            self._write(connection)
        except (psycopg.Error, OSError):
            """Postgres is away: relays look by themselves before long."""
        finally:
            self._connecting = None
            self._go_on()

    def _write(self, connection: PGconn) -> None:
        """Nudge, and leave the answer to `_read`: a task that waits costs several times as much."""
        self._is_wanted, self._is_unanswered = False, True
        with self._losing():
            connection.send_query(NOTIFY.encode())
            connection.flush()

    def _read(self, connection: PGconn) -> None:
        """The answer, of which no more is asked than that it has come."""
        with self._losing():
            connection.consume_input()
            while not connection.is_busy() and connection.get_result():
                pass
            self._is_unanswered = connection.transaction_status != TransactionStatus.IDLE
        self._go_on()

    @contextmanager
    def _losing(self) -> Iterator[None]:
        """Disconnect where the connection is lost, and have its unanswered nudge sent again."""
        try:
            yield
        except psycopg.Error:
            self._is_wanted |= self._is_unanswered
            self._disconnect()
            self._go_on()

    def _disconnect(self) -> None:
        self._is_unanswered = False
        if self._connection is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._connection.pgconn.finish()
            self._connection = None


class BlockingNudge:
    """Nudges the relays from plain code, coalesced: a script, or a framework of threads.

    It leaves out what comes before its `Pace` allows it, also the last: relays look again so much
    later. Threads may share it.
    """

    def __init__(self, database_url: str) -> None:
        self._conninfo = make_conninfo(conninfo(database_url), **GIVE_UP)
        self._connection: Connection[Any] | None = None
        self._pace = Pace()
        self._rests_until = -math.inf
        self._lock = threading.Lock()

    def send(self) -> None:
        """Nudge, or leave it out; never raises for want of Postgres.

        Once connected it waits for no answer but the one to its last nudge, for as long as that
        takes.
        """
        with self._lock:
            now = time.monotonic()
            if now >= self._rests_until:
                # From now, and not from when it is sent: relays count from its arrival.
                self._rests_until = self._pace.spend(now)
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
        self._hear_out()
        try:
            if self._connection is None:
                self._connection = Connection.connect(self._conninfo, autocommit=True)
            self._connection.pgconn.send_query(NOTIFY.encode())
            self._connection.pgconn.flush()
        except (psycopg.Error, OSError):
            self._disconnect()

    def _hear_out(self) -> None:
        """Wait for the answer to the last nudge; disconnect if that is the connection's end."""
        if self._connection is not None:
            try:
                answers = self._connection.wait(generators.fetch_many(self._connection.pgconn))
            except psycopg.Error:
                self._disconnect()
            else:
                if any(each.status == ExecStatus.FATAL_ERROR for each in answers):
                    self._disconnect()  # as of a backend that was told to end


async def listen(database_url: str, on_nudge: Callable[[], None]) -> None:
    """Call `on_nudge` once it listens and at each nudge, for ever.

    Raises psycopg's errors; call it again then. What was missed meanwhile is the first call's.
    A pooler passes no nudges on: behind one it only waits, and relays look by themselves.
    """
    async with await connect_async(database_url) as connection:
        if is_pooled(connection):
            log.info("no nudges through a pooler, so relays poll")
            await connection.close()
            await asyncio.Future()
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
