"""The real command, run as a process on the test's database."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy.orm import Session

from outbox import Work, submit
from service.mail.kinds import SEND_EMAIL
from tests.integration.cli.forks import forks
from tests.support.service import lives

COMMAND = [sys.executable, "-m", "outbox.cli"]
MISSING = UUID(int=0)


class Duly:
    """Runs `duly` with the settings of a test."""

    def __init__(self, database_url: str, amqp_url: str) -> None:
        self.environment = os.environ | {"DATABASE_URL": database_url, "AMQP_URL": amqp_url}

    def __call__(self, *arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
        """The ended process, with its exit code and what it printed."""
        return forks().run([*map(str, arguments)], self.environment, **options)

    def json(self, *arguments: object, code: int = 0, **options: Any) -> Any:
        """What it prints as JSON, when it ended with this exit code."""
        done = self(*arguments, "--output", "json", **options)
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout)

    def start(self, *arguments: object, **options: Any) -> subprocess.Popen[str]:
        """The running process, of an interpreter of its own."""
        return subprocess.Popen(
            [*COMMAND, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options,
            env=self.environment,
            text=True,
        )


@pytest.fixture
def duly(database_url: str, amqp_url: str) -> Duly:
    """The command on the test's own database."""
    return Duly(database_url, amqp_url)


def email(subject: str = "Hello") -> Work[Any]:
    """A job with sensitive fields."""
    return SEND_EMAIL(to="anna@example.org", subject=subject, text="between us")


@pytest.fixture
def job(session: Session) -> UUID:
    """A queued job."""
    submitted = submit(session, email(), subject="invoice:1")
    session.commit()
    return submitted.id


@pytest.fixture
def die(session: Session, sql_now: psycopg.Connection) -> Callable[..., UUID]:
    """Makes a job that failed once and is dead; returns its id."""

    def dead_job(error_type: str = "SMTPError", error_message: str = "mailbox full") -> UUID:
        submitted = submit(session, email())
        session.commit()
        run = lives.claim(sql_now, str(submitted.id))
        lives.die(sql_now, run, (error_type, error_message))
        return submitted.id

    return dead_job


@pytest.fixture
def foreign(sql_now: psycopg.Connection) -> int:
    """A dead letter that is a message of somebody else; returns its id."""
    return lives.foreign(sql_now, b"\xff password", '{"token": "hunter2"}')
