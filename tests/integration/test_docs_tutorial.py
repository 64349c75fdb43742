"""The turnover of docs/tutorial.md: the page is applied to a copy of the code, and run."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pika
import psycopg
import pytest

from dev.ports import free_port
from outbox.amqp.topology import dead_letter_queue
from tests.support import tutorial
from tests.support.wait import wait_for

DULY = [sys.executable, "-m", "outbox.cli"]
# The queue of the page and no other: those of the service may be in use by other tests.
RELAY = """
import asyncio, os
from outbox.relay.process import run
asyncio.run(run(database_url=os.environ["DATABASE_URL"], amqp_url=os.environ["AMQP_URL"],
                queues=["turnovers"], window=10))
"""
INVOICE = {
    "customer": "Ada Lovelace",
    "email": "ada@example.com",
    "currency": "EUR",
    "lines": [{"description": "Punched cards", "quantity": 3, "unit_price": "1.25"}],
}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the code, changed as the page says."""
    tutorial.write(tmp_path, "actors", "migrations", "outbox", "service")
    return tmp_path


@pytest.fixture
def environment(copy: Path, empty_database_url: str, amqp_url: str) -> Iterator[dict[str, str]]:
    """Where the copy's processes find everything; their queues are deleted afterwards."""
    yield os.environ | {
        "DATABASE_URL": empty_database_url,
        "AMQP_URL": amqp_url,
        "PYTHONPATH": str(copy),
        "DULY_APP": "service.jobs:duly",
    }
    with pika.BlockingConnection(pika.URLParameters(amqp_url)) as connection:
        for queue in ("turnovers", dead_letter_queue("turnovers")):
            connection.channel().queue_delete(queue)


@pytest.fixture
def api(copy: Path, environment: dict[str, str]) -> Iterator[httpx2.Client]:
    """A client of the copy's API; its relay and worker run, too."""
    subprocess.run([*DULY, "migrate"], cwd=copy, env=environment, check=True)
    create = [*DULY, "keys", "create", "--name", "test", "--scopes", "submit,read"]
    key = subprocess.check_output(create, cwd=copy, env=environment, text=True).strip()
    port = free_port()
    commands = [
        [*DULY, "api", "--port", str(port)],
        [*DULY, "worker", "--queues", "turnovers"],
        [sys.executable, "-c", RELAY],
    ]
    processes = [subprocess.Popen(each, cwd=copy, env=environment) for each in commands]
    headers = {"Authorization": f"Bearer {key}"}
    try:
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", headers=headers) as client:
            wait_for("the API", lambda: answers(client))
            yield client
    finally:
        for process in processes:
            process.terminate()
            process.wait(timeout=30)


def answers(client: httpx2.Client) -> bool:
    try:
        return client.get("/healthz").status_code == 200
    except httpx2.TransportError:
        return False


def test_the_turnover_is_made_and_its_total_is_what_was_invoiced(
    api: httpx2.Client, environment: dict[str, str]
) -> None:
    for currency in ("EUR", "EUR", "USD"):
        assert api.post("/v1/invoices", json=INVOICE | {"currency": currency}).status_code == 201
    answer = api.post("/v1/turnovers", json={"currency": "EUR"}, headers={"Idempotency-Key": "one"})
    again = api.post("/v1/turnovers", json={"currency": "EUR"}, headers={"Idempotency-Key": "one"})
    assert (answer.status_code, again.status_code) == (202, 202)
    assert again.headers["Idempotent-Replayed"] == "true"
    job = answer.json()["links"]["self"]
    wait_for("the job", lambda: api.get(job).json()["state"] == "succeeded")
    with psycopg.connect(environment["DATABASE_URL"]) as connection:
        totals = connection.execute("SELECT currency, total::text FROM turnovers").fetchall()
    assert totals == [("EUR", "7.50")]


def test_the_check_that_the_page_names_holds_for_its_kind(copy: Path) -> None:
    check = tutorial.CHECKOUT / "tests" / "unit" / "test_subjects.py"
    shutil.copy(check, copy)
    # `-m` puts the copy before the checkout on the path.
    subprocess.run([sys.executable, "-m", "pytest", check.name], cwd=copy, check=True, timeout=60)
