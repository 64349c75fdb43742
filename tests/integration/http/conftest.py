"""The API as clients meet it: a real server on a real database, spoken to over HTTP."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import NullPool, create_engine
from sqlalchemy.orm import Session

from dev.servers import Servers
from outbox.operations import api_keys
from outbox.operations.api_keys import Scope
from outbox.postgres.address import sqlalchemy_url
from service.settings import Settings
from tests.integration.http.hooks import Hooks, serving_hooks
from tests.support.servers.databases import new_database
from tests.support.service.serving import serve, settings_for

MakeClient = Callable[..., httpx2.Client]


@pytest.fixture
def settings(database_url: str, amqp_url: str, tmp_path: Path) -> Settings:
    """The service's settings for the test's own database and document store."""
    return settings_for(database_url, amqp_url, tmp_path)


@pytest.fixture
def address(settings: Settings) -> Iterator[str]:
    """Where the API is served."""
    with serve(settings) as address:
        yield address


@pytest.fixture
def client_with(address: str, session: Session) -> Iterator[MakeClient]:
    """Makes clients, each with a new API key that has the given scopes."""
    clients: list[httpx2.Client] = []

    def make(
        *scopes: Scope, name: str = "test", lifetime: timedelta | None = None
    ) -> httpx2.Client:
        key = api_keys.create(session, name, scopes, lifetime, by="ops")
        session.commit()
        headers = {"Authorization": f"Bearer {key}"}
        clients.append(httpx2.Client(base_url=address, headers=headers, timeout=30))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def client(client_with: MakeClient) -> httpx2.Client:
    """A client that may do everything but see payloads."""
    return client_with(Scope.ADMIN)


@pytest.fixture(scope="session")
def lasting_client(
    servers: Servers, template: str, amqp_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx2.Client]:
    """A client that may do everything, of one server for all tests that leave nothing behind."""
    with new_database(
        servers.database_url, sqlalchemy_url(template).database or ""
    ) as database_url:
        folder = tmp_path_factory.mktemp("documents")
        with serve(settings_for(database_url, amqp_url, folder)) as address:
            with (
                Session(create_engine(sqlalchemy_url(database_url), poolclass=NullPool)) as session,
                session.begin(),
            ):
                key = api_keys.create(session, "test", list(Scope), by="ops")
            headers = {"Authorization": f"Bearer {key}"}
            with httpx2.Client(base_url=address, headers=headers, timeout=30) as client:
                yield client


@pytest.fixture(scope="session")
def hooks(
    servers: Servers, template: str, amqp_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Hooks]:
    """One server for all tests of webhooks in; each has ids of its own."""
    name = sqlalchemy_url(template).database or ""
    with (
        new_database(servers.database_url, name) as database_url,
        serving_hooks(database_url, amqp_url, tmp_path_factory.mktemp("documents")) as hooks,
    ):
        yield hooks
