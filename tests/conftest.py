"""What all tests share: a really committing database for each, and a real RabbitMQ.

The servers are those of DATABASE_URL and AMQP_URL where set, else found or started like for
`make test`.
"""

import os
import signal
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial

import hypothesis
import psycopg
import pytest
from sqlalchemy import Engine, create_engine, make_url
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from dev.pgbouncer import program, running, through
from dev.private import home
from dev.servers import Servers, from_environment, up
from migrations.run import upgrade
from outbox.migrations.grants import grant
from outbox.postgres.address import sqlalchemy_url
from service.subjects import TABLES
from tests.support.engine.rabbit import Rabbit
from tests.support.servers.databases import new_database

# A shell starts what runs in the background with SIGINT ignored, and processes inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# On a busy machine the time of one example says nothing. A test has a timeout of its own.
hypothesis.settings.register_profile("duly", deadline=None)
hypothesis.settings.load_profile("duly")


def pytest_addoption(parser: pytest.Parser) -> None:
    """What `make pooled` asks for."""
    parser.addoption("--pooled", action="store_true", help="processes go through PgBouncer")


def pytest_xdist_auto_num_workers() -> int:
    """How many processes run tests at once: one where the environment has one RabbitMQ for all."""
    return 0 if from_environment() else 2


@pytest.fixture(scope="session")
def servers() -> Servers:
    """A real Postgres and a real RabbitMQ, with a virtual host for each process that runs tests."""
    process = os.environ.get("PYTEST_XDIST_WORKER")
    return up(f"test_{process}" if process else "test")


@pytest.fixture(scope="session")
def amqp_url(servers: Servers) -> str:
    """The broker; tests use queues of their own."""
    return servers.amqp_url


@pytest.fixture
def rabbit(amqp_url: str) -> Iterator[Rabbit]:
    """A bystander at the broker."""
    with closing(Rabbit(amqp_url)) as rabbit:
        yield rabbit


@pytest.fixture(scope="session")
def template(servers: Servers) -> Iterator[str]:
    """A migrated database that each test's own is copied from."""
    with new_database(servers.database_url, "template0") as url:
        upgrade(url)
        yield url


@pytest.fixture
def database_url(servers: Servers, template: str) -> Iterator[str]:
    """A fresh, migrated database, dropped afterwards."""
    with new_database(servers.database_url, sqlalchemy_url(template).database or "") as url:
        yield url


@pytest.fixture
def empty_database_url(servers: Servers) -> Iterator[str]:
    """A database with nothing in it."""
    with new_database(servers.database_url, "template0") as url:
        yield url


@pytest.fixture(scope="session")
def pgbouncer() -> list[str]:
    """The command that runs PgBouncer."""
    return program(home() / "pgbouncer")


@pytest.fixture
def pooler(
    request: pytest.FixtureRequest, pgbouncer: list[str], servers: Servers
) -> Iterator[Callable[[str], str]]:
    """The way to a database through PgBouncer; a parameter is what its configuration says more."""
    settings: dict[str, str] = getattr(request, "param", {})
    with running(pgbouncer, servers.database_url, **settings) as port:
        yield partial(through, port)


@pytest.fixture
def app_database_url(database_url: str) -> Iterator[str]:
    """The same database, for a role that has the rights of Duly's processes and owns no table."""
    role, password = f"test_{uuid.uuid4().hex}", uuid.uuid4().hex
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{password}'")
        grant(database_url, role, TABLES.tables.keys())
        url = make_url(database_url).set(username=role, password=password)
        yield url.render_as_string(hide_password=False)
    with psycopg.connect(database_url, autocommit=True) as owner:  # a test may cut the other one
        owner.execute(f"DROP OWNED BY {role}")
        owner.execute(f"DROP ROLE {role}")


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """SQLAlchemy on the test's database."""
    engine = create_engine(sqlalchemy_url(database_url), poolclass=NullPool)
    yield engine
    engine.dispose()


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    """A session on the test's database; what it does not commit is gone."""
    with Session(engine, expire_on_commit=False) as session:
        yield session


@pytest.fixture
def sql_now(database_url: str) -> Iterator[psycopg.Connection]:
    """A connection that commits each statement, to look at the tables from outside."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection
