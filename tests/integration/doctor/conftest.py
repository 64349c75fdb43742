"""A set-up to break, and the finding of one check."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from psycopg.conninfo import conninfo_to_dict
from pydantic import BaseModel
from sqlalchemy import make_url

import migrations
from dev.servers import Servers
from outbox import Kind, Kinds
from outbox.actors import Actors
from outbox.doctor import Finding, Setup
from outbox.doctor.catalog import CHECKS
from outbox.doctor.examine import examine_with
from service.settings import Settings
from service.subjects import TABLES
from tests.support.cli_line import commands_of, parse
from tests.support.engine.rabbit import Rabbit
from tests.support.servers.databases import new_database


class Nothing(BaseModel):
    """A payload."""


@pytest.fixture(scope="session")
def shared_database_url(servers: Servers, template: str) -> Iterator[str]:
    """One database for all tests that change nothing but their own role and its settings."""
    with new_database(servers.database_url, make_url(template).database or "") as url:
        yield url


@pytest.fixture
def own_database() -> None:
    """A test that asks for this gets a database of its own."""


@pytest.fixture
def database_url(
    request: pytest.FixtureRequest, servers: Servers, template: str, shared_database_url: str
) -> Iterator[str]:
    """The database that the test breaks."""
    if "own_database" not in request.fixturenames:
        yield shared_database_url
        return
    with new_database(servers.database_url, make_url(template).database or "") as url:
        yield url


@pytest.fixture
def queue(rabbit: Rabbit) -> Iterator[str]:
    """A name for a queue, which nobody has declared yet."""
    name = f"t{uuid4().hex[:12]}"
    yield name
    rabbit.delete(name)


@pytest.fixture
def setup(app_database_url: str, amqp_url: str, queue: str) -> Setup:
    """An app of one kind; its role has the rights of Duly's processes and owns nothing."""
    return setup_for(app_database_url, amqp_url, queue)


def setup_for(database_url: str, amqp_url: str, queue: str, **more: object) -> Setup:
    """The same on other servers, or with other settings."""
    kind = Kind(f"{queue}.do", Nothing, queue=queue)
    settings = {"DATABASE_URL": database_url, "AMQP_URL": amqp_url} | more
    return Setup(
        Kinds(kind),
        Settings.model_validate(settings),
        tables=TABLES,
        migrations=lambda: Path(migrations.__file__).parent,
        actors=lambda: Actors([]),
    )


def find(check: str, setup: Setup) -> Finding:
    """What this check of the library finds. What it says to do can be done."""
    (finding,) = examine_with([each for each in CHECKS if each.name == check], setup)
    for line in commands_of(finding.change):
        if line.startswith("duly "):
            parse(line)
    return finding


@pytest.fixture
def role(app_database_url: str) -> str:
    """The role of the set-up."""
    return str(conninfo_to_dict(app_database_url)["user"])
