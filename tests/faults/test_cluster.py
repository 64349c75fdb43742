"""A RabbitMQ cluster loses the node that leads the queues and has all the connections."""

from collections.abc import Iterator

import pytest

from tests.faults.actors import BOOK, DOOMED, FLAKY, ORDER, QUEUE
from tests.faults.clients import Clients
from tests.faults.cluster import Cluster, running_cluster
from tests.faults.line import Line
from tests.faults.promises import Promises
from tests.support.wait import wait_for

UNFINISHED = "SELECT id FROM duly.jobs WHERE state IN ('queued', 'running')"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A cluster of the test's own."""
    with running_cluster() as cluster:
        yield cluster


@pytest.fixture
def amqp_url(cluster: Cluster) -> str:
    """It takes the place of the suite's single node."""
    return cluster.amqp_url


def test_a_node_killed_under_load_takes_nothing_with_it(
    cluster: Cluster, line: Line, clients: Clients, promises: Promises
) -> None:
    leader = cluster.leader(QUEUE)
    line.environment["DULY_REDISPATCH_AFTER"] = "PT1H"  # so that nothing is published again
    clients.submit(*(ORDER, BOOK, FLAKY, DOOMED) * 125)
    line.start("relay", "worker", "worker")
    wait_for("the first effects", lambda: len(promises.rows("SELECT mark FROM entries")) > 50)
    leader.kill()
    assert len(promises.rows(UNFINISHED)) > 100
    clients.submit(*(ORDER, BOOK, FLAKY, DOOMED) * 125)
    promises.assert_kept()
    leader.start()
    wait_for("it has rejoined", cluster.is_whole)
    clients.submit_mix()
    promises.assert_kept()
