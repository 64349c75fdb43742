"""The processes of one system, and a database and queues that hold nothing of earlier runs."""

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pika
import psycopg
from psycopg import sql

from bench.tally import Tally
from dev.wait import wait_until
from outbox.amqp.connection import parameters

FOLDER = Path(".bench")
PATIENCE_SECONDS = 300

Command = Sequence[str]


class Crew:
    """Starts and ends processes that share an environment and a log."""

    def __init__(self, database_url: str, amqp_url: str, name: str, **more: str) -> None:
        FOLDER.mkdir(exist_ok=True)
        self.database_url = database_url
        self.amqp_url = amqp_url
        self.tally = Tally(FOLDER / f"{name}.tally")
        self._log = (FOLDER / f"{name}.log").open("ab")
        self._environment = os.environ | {
            "DATABASE_URL": database_url,
            "AMQP_URL": amqp_url,
            "BENCH_TALLY": str(self.tally.path.absolute()),
            **more,
        }
        self._processes: list[subprocess.Popen[str]] = []

    def start(self, *command: str, asks: bool = False) -> "subprocess.Popen[str]":
        """Start a Python module; one that `asks` talks with us."""
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            env=self._environment,
            stdin=subprocess.PIPE if asks else subprocess.DEVNULL,
            stdout=subprocess.PIPE if asks else self._log,
            stderr=self._log,
            text=True,
            start_new_session=True,
        )
        self._processes.append(process)
        return process

    def end(self) -> None:
        """End all that was started, with its children, and at once: nothing is measured of it."""
        for process in self._processes:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # also where only children are left
            process.wait()
        self._log.close()


@contextmanager
def crew(
    database_url: str, amqp_url: str, name: str, queues: Sequence[str] = (), **more: str
) -> Iterator[Crew]:
    """A crew on a fresh database; its queues are gone before and afterwards."""
    with fresh_database(database_url) as own:
        delete_queues(amqp_url, queues)
        started = Crew(own, amqp_url, name, **more)
        try:
            yield started
        finally:
            started.end()
            delete_queues(amqp_url, queues)


@contextmanager
def fresh_database(server_url: str) -> Iterator[str]:
    """The URL of a database with nothing in it, dropped afterwards."""
    name = f"bench_{uuid.uuid4().hex[:8]}"
    _administer(server_url, "CREATE DATABASE {}", name)
    try:
        yield server_url.rpartition("/")[0] + "/" + name
    finally:
        _administer(server_url, "DROP DATABASE {} WITH (FORCE)", name)


def delete_queues(amqp_url: str, queues: Sequence[str]) -> None:
    """They and their dead letters, delayed ones too."""
    with closing(pika.BlockingConnection(parameters(amqp_url))) as connection:
        channel = connection.channel()
        for queue in queues:
            for name in (queue, f"{queue}.XQ", f"{queue}.DQ"):
                channel.queue_delete(name)


def wait_for(what: str, tally: Tally, count: int) -> None:
    """Until so many jobs have started. Raises TimeoutError."""
    if not wait_until(lambda: tally.count >= count, PATIENCE_SECONDS):
        raise TimeoutError(f"{what}: only {tally.count} of {count} jobs started")


def _administer(server_url: str, command: str, name: str) -> None:
    with psycopg.connect(server_url, autocommit=True) as admin:
        admin.execute(sql.SQL(command).format(sql.Identifier(name)))
