"""What the tests of the protocol share: everybody's connections."""

from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import make_url

from dev.servers import Servers
from tests.protocol.stage import Stage
from tests.support.engine.by_hand import ByHand
from tests.support.servers.databases import new_database


@pytest.fixture(scope="session")
def whole_stage(servers: Servers, template: str) -> Iterator[Stage]:
    """One database for all these tests: a copy for each would take most of the time."""
    with new_database(servers.database_url, make_url(template).database or "") as url:
        stage = Stage(url)
        yield stage
        stage.close()


@pytest.fixture
def stage(whole_stage: Stage) -> Stage:
    """Relays, actors and all others, who take turns; nothing has happened yet."""
    whole_stage.clear()
    return whole_stage


@pytest.fixture
def hands(stage: Stage) -> Iterator[list[ByHand]]:
    """Four more, who act at once, and wait for each other's locks."""
    hands = [ByHand(psycopg.connect(stage.database_url, autocommit=True)) for _ in range(4)]
    yield hands
    for hand in hands:
        hand.connection.close()
