"""Postgres or RabbitMQ killed, wiped or out of memory while jobs run."""

import re
import time
from uuid import UUID

import pytest

from service.invoices.kinds import RENDER_INVOICE
from tests.faults.actors import BOOK, HOLD, ORDER
from tests.faults.clients import Clients
from tests.faults.conftest import SILENCE_SECONDS
from tests.faults.line import Line
from tests.faults.promises import Promises
from tests.support.outside.arrivals import Gate
from tests.support.servers.nodes import Nodes, frozen
from tests.support.service.line import INVOICE
from tests.support.wait import wait_for

WINDOW = 50
SPENT = "SELECT DISTINCT attempt FROM duly.jobs"
LAST_LOOK = """
SELECT query_start FROM pg_stat_activity
WHERE query LIKE '_DELETE FROM duly.workers%heartbeat_at%'
"""
"""What a rescuer does at the end of each look."""


def test_rabbitmq_killed(line: Line, clients: Clients, promises: Promises, nodes: Nodes) -> None:
    _submit_and_wait_for_some(line, clients, promises)
    nodes.rabbitmq.kill()
    nodes.rabbitmq.start()
    promises.assert_kept()
    assert promises.rows(SPENT) == [1]


def test_postgres_killed(line: Line, clients: Clients, promises: Promises, nodes: Nodes) -> None:
    _submit_and_wait_for_some(line, clients, promises)
    nodes.postgres.kill()
    nodes.postgres.start()
    clients.submit_mix()
    promises.assert_kept()


@pytest.mark.slow
def test_a_postgres_that_stood_still_costs_no_attempt(
    line: Line, clients: Clients, promises: Promises, nodes: Nodes
) -> None:
    line.receiver.answer = gate = Gate()
    clients.submit(HOLD)
    line.start("relay", "worker")
    wait_for("it runs", lambda: len(line.receiver.deliveries) == 1)
    wait_for("the rescuer looks", lambda: bool(promises.rows(LAST_LOOK)))
    with frozen(nodes.postgres):
        time.sleep(2 * SILENCE_SECONDS)  # the fault is how long it lasts
    (thawed,) = promises.rows("SELECT now()")
    wait_for("it looks again", lambda: promises.rows(LAST_LOOK) > [thawed])
    gate.open()
    promises.assert_kept()
    assert promises.rows(SPENT) == [1]


@pytest.mark.slow
def test_rabbitmq_wiped_before_a_backlog_costs_a_window(
    line: Line, clients: Clients, promises: Promises, nodes: Nodes
) -> None:
    line.environment |= {"DULY_WINDOW": str(WINDOW)}
    clients.submit(*[BOOK] * 3000)
    (relay,) = line.start("relay")
    wait_for("a full window", lambda: len(promises.left()["events"]) == 3000 - WINDOW)
    nodes.rabbitmq.wipe()
    nodes.rabbitmq.start()
    line.start("worker")
    promises.assert_kept()
    lost = re.findall(r"to be published again.*count=(\d+)", relay.log)
    assert 0 < sum(map(int, lost)) <= WINDOW
    assert promises.rows(SPENT) == [1]


@pytest.mark.slow
def test_rabbitmq_out_of_memory_burns_nothing(
    line: Line, clients: Clients, promises: Promises, nodes: Nodes
) -> None:
    line.start("api", "relay", "worker")
    nodes.rabbitmq.control("set_vm_memory_high_watermark", "absolute", "1")
    try:
        for number in range(5):
            invoice = line.post("/v1/invoices", INVOICE | {"customer": f"customer-{number}"})
            job = UUID(invoice["jobs"][0]["id"])
            clients.told(f"customer-{number}", RENDER_INVOICE.name, job)
        assert len(promises.left()["jobs"]) == 5
    finally:
        nodes.rabbitmq.control("set_vm_memory_high_watermark", "0.4")
    promises.assert_kept()
    assert promises.rows(SPENT) == [1]


def _submit_and_wait_for_some(line: Line, clients: Clients, promises: Promises) -> None:
    """Many jobs, of which some are done and some are not."""
    line.environment["DULY_WINDOW"] = "20"
    clients.submit(*(BOOK, ORDER) * 100)
    line.start("relay", "worker")
    wait_for("some are booked", lambda: promises.booked() > 20)
    assert promises.left()["jobs"]
