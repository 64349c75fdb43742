"""The network between a process and its servers: cut, half open, or slow."""

from collections.abc import Iterator

import pytest

from tests.faults.actors import BOOK, HOLD, ORDER
from tests.faults.clients import Clients
from tests.faults.line import Line
from tests.faults.promises import Promises
from tests.support.network.proxy import Proxy
from tests.support.outside.arrivals import Gate
from tests.support.servers.nodes import Nodes
from tests.support.wait import wait_for

CRASHED = "SELECT DISTINCT attempt FROM duly.attempts WHERE outcome = 'crashed'"
HALF_OPEN_SECONDS = 60
"""Two missed heartbeats of 15 seconds, and what follows."""


@pytest.fixture
def broker(line: Line, nodes: Nodes) -> Iterator[Proxy]:
    """The way to RabbitMQ of the processes that are started now."""
    yield from _by_way_of_a_proxy(line, "AMQP_URL", nodes.rabbitmq.port)


@pytest.fixture
def postgres(line: Line, nodes: Nodes) -> Iterator[Proxy]:
    """The way to Postgres of the processes that are started now."""
    yield from _by_way_of_a_proxy(line, "DATABASE_URL", nodes.postgres.port)


@pytest.mark.slow
def test_cut_from_both_servers_again_and_again(
    line: Line, clients: Clients, promises: Promises, broker: Proxy, postgres: Proxy
) -> None:
    line.environment["DULY_WINDOW"] = "20"
    line.start("relay", "worker")
    for goal in (1, 60, 120):
        clients.submit(*(BOOK, ORDER) * 30)
        wait_for("some are booked", lambda goal=goal: promises.booked() >= goal)  # type: ignore[misc]
        broker.cut()
        postgres.cut()
    promises.assert_kept()


@pytest.mark.slow
def test_half_open_to_rabbitmq(
    line: Line, clients: Clients, promises: Promises, broker: Proxy
) -> None:
    line.start("relay", "worker")
    clients.submit(BOOK)
    wait_for("it is booked", lambda: promises.booked() == 1)
    broker.swallow()
    clients.submit_mix()
    wait_for("links are made again", lambda: promises.booked() == 9, HALF_OPEN_SECONDS)
    broker.cut_swallowed()
    promises.assert_kept()


@pytest.mark.slow
def test_slow_to_both_servers(
    line: Line, clients: Clients, promises: Promises, broker: Proxy, postgres: Proxy
) -> None:
    broker.delay = postgres.delay = 0.05
    clients.submit_mix()
    line.start("relay", "worker")
    promises.assert_kept()


def test_a_worker_that_was_replaced_finishes_nothing(
    line: Line, clients: Clients, promises: Promises, postgres: Proxy, database_url: str
) -> None:
    line.receiver.answer = gate = Gate()
    clients.submit(HOLD)
    (zombie,) = line.start("worker")
    line.environment["DATABASE_URL"] = database_url
    line.start("relay")
    wait_for("it runs", lambda: len(line.receiver.deliveries) == 1)
    postgres.swallow()
    wait_for("it is rescued", lambda: promises.rows(CRASHED) == [1])
    line.start("worker")
    wait_for("it runs elsewhere", lambda: len(line.receiver.deliveries) == 2)
    postgres.cut_swallowed()
    gate.open()
    wait_for("the zombie has tried", lambda: "superseded" in zombie.log)
    promises.assert_kept()


def _by_way_of_a_proxy(line: Line, variable: str, port: int) -> Iterator[Proxy]:
    proxy = Proxy(port)
    proxy.start()
    line.environment[variable] = line.environment[variable].replace(f":{port}/", f":{proxy.port}/")
    yield proxy
    proxy.stop()
