"""Nodes of the suite's own, and on them the line, its clients and the promises to all of them."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine

from dev.servers import Servers
from migrations.run import upgrade
from service.subjects import SCHEDULES
from tests.faults.actors import QUEUES
from tests.faults.clients import Clients
from tests.faults.line import Line
from tests.faults.promises import Promises
from tests.support.engine.rabbit import Rabbit
from tests.support.engine.schedules import declare
from tests.support.outside.mail_server import Inbox
from tests.support.outside.receiver import Receiver, receiver
from tests.support.servers.databases import new_database
from tests.support.servers.nodes import Nodes, running_nodes

SILENCE_SECONDS = 3
"""How long a worker may send no heartbeat."""
NO_TICKS = "UPDATE duly.schedules SET next_due_at = next_due_at + interval '10 years'"
"""The service's own schedules are not due during a test: no worker here does their jobs."""
TIMEOUT_SECONDS = 300
"""How long a test may take. The first one starts the servers, and busy machines are slow."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the tests of this folder their time."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(TIMEOUT_SECONDS))


@pytest.fixture(scope="session")
def nodes() -> Iterator[Nodes]:
    """The suite's own Postgres and RabbitMQ."""
    with running_nodes() as nodes:
        yield nodes


@pytest.fixture(scope="session")
def servers(nodes: Nodes) -> Servers:
    """They take the place of the servers of other tests."""
    return Servers(nodes.postgres.url("postgres"), nodes.amqp_url, "private")


@pytest.fixture(scope="session")
def amqp_url(servers: Servers) -> str:
    """The broker; its queues are emptied for each test."""
    return servers.amqp_url


@pytest.fixture(scope="session")
def template(servers: Servers) -> Iterator[str]:
    """A migrated database, with the tables that the suite's actors write to."""
    with new_database(servers.database_url, "template0") as url:
        upgrade(url)
        declare(url, SCHEDULES)
        with psycopg.connect(url) as connection:
            connection.execute(NO_TICKS)
            connection.execute("CREATE TABLE entries (mark text)")
            connection.execute("CREATE TABLE mended ()")
            connection.execute("CREATE TABLE copied (number int)")
        yield url


@pytest.fixture
def empty_queues(amqp_url: str) -> None:
    """The queues are there, and nothing is in them."""
    with closing(Rabbit(amqp_url)) as rabbit:
        for queue in QUEUES:
            rabbit.delete(queue)
            rabbit.declare(queue)


@pytest.fixture
def hooks() -> Iterator[Receiver]:
    """Sees the effects outside of Postgres."""
    with receiver() as hooks:
        yield hooks


@pytest.fixture
def line(
    empty_queues: None, database_url: str, amqp_url: str, hooks: Receiver, tmp_path: Path
) -> Iterator[Line]:
    """The line on a fresh database and empty queues, with nothing started yet."""
    environment = os.environ | {
        "DATABASE_URL": database_url,
        "AMQP_URL": amqp_url,
        "DULY_ACTORS": "tests.faults.actors:ACTORS",
        "DULY_WORKER_SILENCE": f"PT{SILENCE_SECONDS}S",
        "DULY_REDISPATCH_AFTER": "PT3S",
        "DULY_UNKNOWN_AFTER": "PT3S",
        "FAULTS_RECEIVER": hooks.url,
    }
    line = Line(environment, tmp_path, Inbox(), hooks)
    yield line
    line.end()


@pytest.fixture
def clients(engine: Engine) -> Clients:
    """Clients of the line."""
    return Clients(engine)


@pytest.fixture
def promises(engine: Engine, amqp_url: str, hooks: Receiver, clients: Clients) -> Promises:
    """What they may expect."""
    return Promises(engine, amqp_url, hooks, clients)
