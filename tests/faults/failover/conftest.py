"""A primary and its synchronous standby in the place of the suite's Postgres."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.servers import Servers
from migrations.run import upgrade
from tests.support.servers.databases import new_database
from tests.support.servers.nodes import Nodes
from tests.support.servers.standby import Pair, running_pair


@pytest.fixture(scope="session")
def pair() -> Iterator[Pair]:
    """Both nodes, and the standby follows; a test that changes that restores it."""
    with tempfile.TemporaryDirectory(prefix="duly-failover-") as folder:
        Path(folder).chmod(0o711)  # so that the user they run as can enter
        with running_pair(Path(folder)) as pair:
            yield pair


@pytest.fixture(scope="session")
def servers(pair: Pair, nodes: Nodes) -> Servers:
    """The pair, by whichever is the primary."""
    return Servers(pair.url("postgres"), nodes.amqp_url, "private")


@pytest.fixture(scope="session")
def template(servers: Servers) -> Iterator[str]:
    """A migrated database on the pair."""
    with new_database(servers.database_url, "template0") as url:
        upgrade(url)
        yield url
