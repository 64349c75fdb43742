"""What a command says when something else is broken: a line, never a traceback."""

import os
import socket
from collections.abc import Iterator

import pytest
from sqlalchemy.orm import Session

from outbox import submit
from tests.integration.cli.conftest import Duly, email
from tests.support.network.deaf import deaf_server


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that refuses connections for as long as the test lasts."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.fixture
def deaf_port() -> Iterator[int]:
    """A port that accepts connections and never answers."""
    with deaf_server() as port:
        yield port


@pytest.mark.parametrize("command", [["jobs", "list"], ["status"], ["migrate", "--wait", "0"]])
def test_without_postgres_a_command_says_so_in_a_line(
    amqp_url: str, closed_port: int, command: list[str]
) -> None:
    duly = Duly(f"postgresql://someone:secret@127.0.0.1:{closed_port}/duly", amqp_url)
    done = duly(*command)
    assert done.returncode == 69
    (line,) = done.stderr.splitlines()
    assert line.startswith("duly: Postgres cannot be reached: ")
    assert "secret" not in line


def test_a_postgres_that_never_answers_is_given_up(amqp_url: str, deaf_port: int) -> None:
    duly = Duly(f"postgresql://someone@127.0.0.1:{deaf_port}/duly", amqp_url)
    assert duly("jobs", "list").returncode == 69


def test_status_gives_up_a_rabbitmq_that_never_answers(database_url: str, deaf_port: int) -> None:
    done = Duly(database_url, f"amqp://someone:secret@127.0.0.1:{deaf_port}/")("status")
    assert done.returncode == 1
    assert "duly: RabbitMQ cannot be reached: " in done.stderr
    assert not {"Traceback", "secret"} & set(done.stderr.split())


def test_a_database_without_tables_asks_for_migrate(empty_database_url: str, amqp_url: str) -> None:
    done = Duly(empty_database_url, amqp_url)("jobs", "list")
    assert done.returncode == 1
    assert done.stderr.startswith("duly: the database is not up to date, run `duly migrate`: ")
    assert len(done.stderr.splitlines()) == 1


def test_a_wrong_setting_is_named(duly: Duly) -> None:
    duly.environment |= {"DULY_WINDOW": "many", "DATABASE_URL": "?"}
    done = duly("status")
    assert done.returncode == 2
    assert "duly: setting DULY_WINDOW: " in done.stderr
    del duly.environment["DULY_WINDOW"]
    assert duly("status").returncode == 2


def test_an_argument_that_is_no_text_is_refused(duly: Duly) -> None:
    done = duly("jobs", "list", "--kind", os.fsdecode(b"\xff"))
    assert (done.returncode, done.stderr) == (2, "duly: an argument is not UTF-8\n")


@pytest.mark.parametrize("output", ["table", "ndjson"])
def test_a_closed_pipe_is_no_error_to_talk_about(duly: Duly, session: Session, output: str) -> None:
    submit(session, email())
    session.commit()
    reader, writer = os.pipe()
    os.close(reader)
    assert duly("jobs", "list", "--output", output, stdout=writer).stderr == ""
    os.close(writer)
