"""The line under attack: a database, a queue and processes for all tests of a file."""

import os
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Engine, NullPool, create_engine

from dev.servers import Servers
from outbox.postgres.address import sqlalchemy_url
from tests.hostile.deeds import QUEUE
from tests.support.engine.effects import Effects
from tests.support.engine.line import Line
from tests.support.engine.rabbit import Rabbit
from tests.support.servers.databases import new_database
from tests.support.service.process import DULY, Process

Start = Callable[..., Process]


@pytest.fixture(scope="module")
def database_url(servers: Servers, template: str) -> Iterator[str]:
    """A fresh, migrated database."""
    with new_database(servers.database_url, sqlalchemy_url(template).database or "") as url:
        yield url


@pytest.fixture(scope="module")
def engine(database_url: str) -> Iterator[Engine]:
    """SQLAlchemy on it."""
    engine = create_engine(sqlalchemy_url(database_url), poolclass=NullPool)
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def effects(engine: Engine) -> Effects:
    """What the jobs did."""
    return Effects(engine)


@pytest.fixture(scope="module")
def line(engine: Engine, database_url: str, amqp_url: str) -> Line:
    """Submits jobs and looks at them; what does them are processes that `start` starts."""
    return Line(engine, database_url, amqp_url)


@pytest.fixture(scope="module")
def rabbit(amqp_url: str) -> Iterator[Rabbit]:
    """A bystander at the broker, with the queue of the deeds."""
    rabbit = Rabbit(amqp_url)
    rabbit.declare(QUEUE)
    yield rabbit
    rabbit.delete(QUEUE)
    rabbit.close()


@pytest.fixture(scope="module")
def start(
    database_url: str,
    amqp_url: str,
    effects: Effects,
    rabbit: Rabbit,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Start]:
    """Starts a process by the arguments of the command, which something may supervise."""
    environment = os.environ | {
        "DATABASE_URL": database_url,
        "AMQP_URL": amqp_url,
        "DULY_WORKER_SILENCE": "PT4S",
        "DULY_UNKNOWN_AFTER": "PT0S",
        "DULY_WEBHOOKS_MAY_REACH_PRIVATE": "true",
    }
    folder = tmp_path_factory.mktemp("processes")
    processes: list[Process] = []

    def start(
        *arguments: str, command: tuple[str, ...] = DULY, actors: str = "tests.hostile.deeds:ACTORS"
    ) -> Process:
        log = folder / f"{arguments[0]}.log"
        own = environment | {"DULY_ACTORS": actors}
        processes.append(Process(log, own, arguments, command))
        processes[-1].start()
        return processes[-1]

    yield start
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait()
        process.report()
