"""Sends wake-ups from a thread for each pool of connections, so that no commit waits for one."""

import atexit
import os
import threading
import time
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any
from weakref import WeakKeyDictionary, finalize

import psycopg
import sqlalchemy
import structlog
from psycopg.conninfo import make_conninfo
from psycopg.pq import ExecStatus
from sqlalchemy import Pool

from outbox.postgres.address import conninfo
from outbox.submission.rate_limit import RateLimit
from outbox.submission.wake_up import NOTIFY

log = structlog.get_logger(__name__)

Connection = psycopg.Connection[Any]

THREAD = "duly-wake-up"
"""The name of the thread."""
TIMEOUT_SECONDS = 5
TIMEOUTS = {"connect_timeout": TIMEOUT_SECONDS, "tcp_user_timeout": TIMEOUT_SECONDS * 1000}
END_SECONDS = 1
"""How long a process that ends waits for its last wake-ups."""
_CLOSE = ""


class WakeUpSender:
    """Wakes the relays up from a thread of its own, which keeps no process from ending.

    However many commits ask for it, notifications go out only as often as a `RateLimit` allows.
    While Postgres is reachable, one follows the last commit; while it is not, they are dropped.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._rate_limit = RateLimit()
        self._wanted: SimpleQueue[str] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=THREAD, daemon=True)
        self._thread.start()

    def send(self, notification: str = NOTIFY) -> None:
        """Ask for a wake-up, or another of the notifications of `wake_up`."""
        self._wanted.put(notification)

    def close(self) -> None:
        """Have what is wanted sent, and then the thread disconnect and end."""
        self._wanted.put(_CLOSE)

    def join(self, seconds: float) -> bool:
        """Wait until a closed one has ended, up to so long; return whether it has."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        # No attribute: in a forked child it would be finalized, and warn of not being closed.
        connection: Connection | None = None
        wanted: set[str] = set()
        while _CLOSE not in wanted:
            wanted = self._gather()
            if notifications := wanted - {_CLOSE}:
                next_at = self._rate_limit.spend(time.monotonic())
                connection = self._notify(connection, "; ".join(notifications))
                time.sleep(max(0.0, next_at - time.monotonic()))
        if connection:
            connection.close()

    def _gather(self) -> set[str]:
        """What is wanted; waits until something is."""
        wanted = {self._wanted.get()}
        with suppress(Empty):
            while True:
                wanted.add(self._wanted.get_nowait())
        return wanted

    def _notify(self, connection: Connection | None, notifications: str) -> Connection | None:
        """Send these, over a new connection if the last one is lost; return what is left.

        By libpq's own call, because the time that a cursor takes is taken from the commits.
        """
        for opened in (connection, None):
            with suppress(psycopg.Error, OSError):
                opened = opened or psycopg.connect(self._address, autocommit=True)
                if opened.pgconn.exec_(notifications.encode()).status == ExecStatus.COMMAND_OK:
                    return opened
            if opened:
                opened.close()
        return None


class _Senders:
    """The senders of a process, one for each pool: for each engine until it is disposed."""

    def __init__(self) -> None:
        self._forget()
        os.register_at_fork(after_in_child=self._forget)
        atexit.register(self._end)

    def _forget(self) -> None:
        """Forget all: threads do not survive a fork."""
        self._by_pool: WeakKeyDictionary[Pool, WakeUpSender] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def find(self, connection: sqlalchemy.Connection) -> WakeUpSender:
        """The sender for this connection's pool; it ends with the pool."""
        pool = connection.engine.pool
        with self._lock:
            found = self._by_pool.get(pool)
            if found is None:
                found = self._by_pool[pool] = WakeUpSender(address_of(connection))
                finalize(pool, found.close).atexit = False
        return found

    def _end(self) -> None:
        """Send what is wanted, within a second, and disconnect."""
        senders = list(self._by_pool.values())
        for each in senders:
            each.close()
        deadline = time.monotonic() + END_SECONDS
        for each in senders:
            each.join(max(0.0, deadline - time.monotonic()))


_senders = _Senders()


def wake_up(connection: sqlalchemy.Connection, notification: str = NOTIFY) -> None:
    """Notify the relays of this connection's Postgres, soon. Never raises."""
    try:
        _senders.find(connection).send(notification)
    except Exception:
        log.exception("cannot wake the relays up")


def address_of(connection: sqlalchemy.Connection) -> str:
    """Where the connection leads, for psycopg.

    psycopg knows what it has connected to, whoever made the connection. Of another driver's
    options, which psycopg does not know, none is taken over.
    """
    driver = connection.connection.driver_connection
    if isinstance(driver, psycopg.Connection | psycopg.AsyncConnection):
        known: dict[str, Any] = {"password": driver.info.password}
        return make_conninfo(driver.info.dsn, **known, **TIMEOUTS)
    url = connection.engine.url
    known = {
        "host": url.host,
        "port": url.port,
        "dbname": url.database,
        "user": url.username,
        "password": url.password,
    }
    return make_conninfo(conninfo(""), **known, **TIMEOUTS)
