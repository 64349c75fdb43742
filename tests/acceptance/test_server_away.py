"""RabbitMQ or Postgres away: what clients are told, and what becomes of the jobs."""

import time
from collections.abc import Iterator

import pytest

from tests.support.network.proxy import Proxy, before
from tests.support.outside.arrivals import Gate, message_ids, webhook_ids
from tests.support.service.line import INVOICE, Line
from tests.support.wait import wait_for


@pytest.fixture
def broker(line: Line) -> Iterator[Proxy]:
    """The line's way to RabbitMQ."""
    yield from _by_way_of_a_proxy(line, "AMQP_URL")


@pytest.fixture
def postgres(line: Line) -> Iterator[Proxy]:
    """The line's way to Postgres."""
    yield from _by_way_of_a_proxy(line, "DATABASE_URL")


def test_without_rabbitmq_posts_succeed_and_their_jobs_wait(line: Line, broker: Proxy) -> None:
    line.start("api", "relay", "worker")
    before = line.submit_email()
    wait_for("the first mail", lambda: len(line.inbox.envelopes) == 1)
    broker.refuse()
    wait_for("degraded", lambda: readiness(line) == (200, "degraded", "unreachable"))
    assert line.http.post("/v1/invoices", json=INVOICE).status_code == 201
    meanwhile = [line.submit_email() for _ in range(3)]
    broker.admit()
    wait_for("all mails", lambda: len(line.inbox.envelopes) == 5)
    wait_for("ready", lambda: readiness(line) == (200, "ready", "ok"))
    line.wait_for_state("succeeded", meanwhile)
    assert set(message_ids(line.inbox)) > {before, *meanwhile}
    assert [line.outcomes(job_id) for job_id in meanwhile] == [["succeeded"]] * 3


def readiness(line: Line) -> tuple[int, str, str]:
    """What /readyz answers: its code, the state of the whole and that of the broker."""
    answer = line.http.get("/readyz")
    return answer.status_code, answer.json()["status"], answer.json()["broker"]


def test_without_postgres_posts_are_turned_away_and_workers_wait(
    line: Line, postgres: Proxy
) -> None:
    line.environment["DULY_WORKER_SILENCE"] = "PT3S"
    line.start("api", "relay", "worker")
    endpoint = line.listen()
    line.receiver.answer = gate = Gate()
    running = line.submit_webhook(endpoint)
    wait_for("it runs", lambda: webhook_ids(line.receiver.deliveries) == [running])
    waiting = line.submit_email()
    wait_for("a mail", lambda: message_ids(line.inbox) == [waiting])

    postgres.refuse()
    started = time.monotonic()
    refused = line.http.post("/v1/invoices", json=INVOICE)
    assert time.monotonic() - started < 5
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "2")
    assert refused.headers["Content-Type"] == "application/problem+json"
    gate.open()
    # Longer than the silence after which a worker would count as dead.
    wait_for("5 s of outage", lambda: time.monotonic() - started > 5)

    postgres.admit()
    line.wait_for_state("succeeded", [running])
    assert line.outcomes(running) == ["succeeded"]
    # A job with a limit is interrupted, as another worker may have its key: it runs once more.
    assert set(webhook_ids(line.receiver.deliveries)) == {running}
    line.wait_for_state("succeeded", [line.submit_email()])


def _by_way_of_a_proxy(line: Line, variable: str) -> Iterator[Proxy]:
    with before(line.environment[variable]) as proxy:
        line.environment[variable] = proxy.url(line.environment[variable])
        yield proxy
