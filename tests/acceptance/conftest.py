"""The whole line for a test: real processes, real servers, one test at a time on the broker."""

import os
from collections.abc import Iterator
from pathlib import Path

import pika
import psycopg
import pytest

from dev.servers import Servers
from outbox.amqp.topology import dead_letter_queue
from service.subjects import KINDS
from tests.support.outside.mail_server import Inbox, mail_server
from tests.support.outside.receiver import receiver
from tests.support.service.line import Line

ALONE = int.from_bytes(b"alone")


@pytest.fixture
def alone(servers: Servers) -> Iterator[None]:
    """Waits for its turn: the kinds' queues are the same for all runs on these servers."""
    with psycopg.connect(servers.database_url, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [ALONE])
        yield


@pytest.fixture
def no_queues(alone: None, amqp_url: str) -> None:
    """Deletes the kinds' queues, with what an earlier test left in them."""
    connection = pika.BlockingConnection(pika.URLParameters(amqp_url))
    channel = connection.channel()
    for queue in KINDS.queues:
        channel.queue_delete(queue)
        channel.queue_delete(dead_letter_queue(queue))
    connection.close()


@pytest.fixture
def way(request: pytest.FixtureRequest, app_database_url: str) -> str:
    """The way of the processes to a fresh database that they do not own."""
    if request.config.getoption("--pooled"):
        return str(request.getfixturevalue("pooler")(app_database_url))
    return app_database_url


@pytest.fixture
def line(no_queues: None, way: str, amqp_url: str, tmp_path: Path) -> Iterator[Line]:
    """The line, with nothing started yet."""
    inbox = Inbox()
    with mail_server(inbox) as mail_address, receiver() as hooks:
        environment = os.environ | {
            "DATABASE_URL": way,
            "AMQP_URL": amqp_url,
            "DULY_DOCUMENTS_URL": (tmp_path / "documents").as_uri(),
            "DULY_SMTP_URL": f"smtp://{mail_address}?starttls=never",
            "DULY_WEBHOOKS_MAY_REACH_PRIVATE": "true",
        }
        line = Line(environment, tmp_path, inbox, hooks)
        yield line
        line.end()
