"""Tells Postgres that this worker is alive. A worker that falls silent loses its jobs to others."""

import json
import math
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterable
from typing import Any

import psycopg
import structlog

from outbox.postgres.session_settings import connect
from outbox.release import release
from outbox.store import transitions

log = structlog.get_logger(__name__)

BEAT_SECONDS = 1.0


def worker_name() -> str:
    """A name that no other worker has had: host, process id and four random bytes."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


class Heartbeat:
    """Beats every second, on its own thread and connection so that no long write delays it.

    A worker that sends no heartbeat for the relay's `silence` loses its jobs. It may go on running
    them, but all its transitions are fenced, so it can finish nothing.
    """

    def __init__(
        self,
        database_url: str,
        name: str,
        queues: Iterable[str],
        *,
        threads: int,
        tasks: int,
        kinds: Iterable[str] = (),
    ) -> None:
        self._database_url = database_url
        served = json.dumps(sorted(queues))
        code = json.dumps({"release": release(), "kinds": sorted(kinds)})
        self._row = {
            "name": name,
            "queues": served,
            "threads": threads,
            "tasks": tasks,
            "code": code,
        }
        self._closing = threading.Event()
        self.registered = threading.Event()
        """Set once Postgres knows this worker. Nothing may be claimed before."""
        self.sent_at = time.monotonic()
        """When it last sent a heartbeat that Postgres has answered, on the monotonic clock."""
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Start the heartbeat."""
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs. It ends only when closed, or by a bug."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Unregister the worker, so that jobs still running are rescued at once."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._beat_while_connected()
            except psycopg.Error as error:
                log.warning("heartbeat failed", why=str(error).strip().partition("\n")[0])
                self._closing.wait(BEAT_SECONDS)

    def _beat_while_connected(self) -> None:
        with connect(self._database_url) as connection:
            while not self._closing.is_set():
                self._beat(connection)
                self._closing.wait(BEAT_SECONDS)
            self._leave(connection)

    def _beat(self, connection: "psycopg.Connection[Any]") -> None:
        sending_at = time.monotonic()
        connection.execute(transitions.RECORD_HEARTBEAT, self._row)
        self.sent_at = sending_at
        self.registered.set()

    @property
    def age(self) -> float:
        """How many seconds ago it sent the last that was answered; infinity before the first."""
        return time.monotonic() - self.sent_at if self.registered.is_set() else math.inf

    def _leave(self, connection: "psycopg.Connection[Any]") -> None:
        connection.execute(transitions.DEREGISTER_WORKER, self._row)
