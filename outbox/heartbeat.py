"""Tells the database that this worker is alive; silence gives its jobs to others."""

import json
import os
import secrets
import socket
import threading
from collections.abc import Iterable
from typing import Any

import psycopg
import structlog

from outbox import steps
from outbox.postgres import connect

log = structlog.get_logger(__name__)

BEAT_SECONDS = 1.0


def worker_name() -> str:
    """A name that no other worker has had: host, process, and four random bytes."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


class Heartbeat:
    """Beats every second on a thread and a connection of its own, so that no long write delays it.

    A worker that Postgres does not hear from for the relay's `silence` loses its jobs. It may go
    on running them, but every step that it takes is fenced, so it can finish nothing.
    """

    def __init__(self, database_url: str, name: str, queues: Iterable[str], threads: int) -> None:
        self._database_url = database_url
        self._row = {"name": name, "queues": json.dumps(sorted(queues)), "threads": threads}
        self._closing = threading.Event()
        self.registered = threading.Event()
        """Set once the database knows of this worker: nothing may be claimed before."""
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Begin to beat."""
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether it still beats; it ends only when closed, or by a bug."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Say goodbye: jobs still running are given to others at once."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._beat_while_connected()
            except psycopg.Error as error:
                log.warning("no heartbeat", why=str(error).strip().partition("\n")[0])
                self._closing.wait(BEAT_SECONDS)

    def _beat_while_connected(self) -> None:
        with connect(self._database_url) as connection:
            while not self._closing.is_set():
                self._beat(connection)
                self._closing.wait(BEAT_SECONDS)
            self._leave(connection)

    def _beat(self, connection: "psycopg.Connection[Any]") -> None:
        connection.execute(steps.BEAT, self._row)
        self.registered.set()

    def _leave(self, connection: "psycopg.Connection[Any]") -> None:
        connection.execute(steps.LEAVE, self._row)
