"""The promise meter of a real relay: it sees what is broken on purpose, and nothing else."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.error import URLError

import pytest
from sqlalchemy import Connection, Engine, text

from tests.faults.actors import AWAIT, BOOK, DOOMED, HOLD
from tests.faults.clients import Clients
from tests.faults.conftest import SILENCE_SECONDS
from tests.faults.line import Line
from tests.faults.promises import Promises
from tests.support.monitoring.documented import runbook_query
from tests.support.outside.arrivals import Gate
from tests.support.servers.nodes import Nodes
from tests.support.service.scrape import Scraped
from tests.support.wait import wait_for

SAMPLE_SECONDS = 5
RESCUED_SECONDS = SILENCE_SECONDS + 20
SLOW_MACHINE_SECONDS = 15
PROMISES = ("queued_without_event", "running_without_worker", "dead_without_letter")
METER = "duly_promise_broken"
SAMPLED_AT = "duly_sample_timestamp_seconds"
LETTERS = "SELECT count(*) FROM duly.dead_letters"
LATER = "UPDATE duly.{} SET {} = now() + interval '1 hour'"

pytestmark = pytest.mark.slow


@pytest.fixture
def scraped() -> Scraped:
    """The metrics of a relay."""
    return Scraped()


def start_relay(line: Line, scraped: Scraped) -> None:
    """Start a relay, which samples and reads 0."""

    def samples() -> bool:
        with suppress(URLError):
            return scraped.value(SAMPLED_AT) > 0
        return False

    line.start_relay(*scraped.options)
    wait_for("a sample", samples)
    assert all(scraped.value(METER, promise=promise) == 0 for promise in PROMISES)


def wait_for_meter(scraped: Scraped, promise: str, broken: int, seconds: float) -> None:
    """Wait until the meter reads so many, and no longer than the docs say."""

    wait_for(
        f"{promise} to be {broken}",
        lambda: scraped.value(METER, promise=promise) == broken,
        seconds + SLOW_MACHINE_SECONDS,
    )


def run(engine: Engine, statement: str) -> None:
    """Execute it by hand."""
    with engine.begin() as connection:
        connection.execute(text(statement))


def test_a_lost_event_is_seen_until_the_job_is_rescheduled(
    line: Line, clients: Clients, promises: Promises, engine: Engine, scraped: Scraped
) -> None:
    (lost, _) = clients.submit(BOOK, BOOK)
    run(engine, LATER.format("jobs", "run_at"))
    run(engine, LATER.format("outbox_events", "available_at"))
    start_relay(line, scraped)
    run(engine, f"DELETE FROM duly.outbox_events WHERE job_id = '{lost.job}'")
    wait_for_meter(scraped, "queued_without_event", 1, 2 * SAMPLE_SECONDS)
    line.duly("jobs", "reschedule", str(lost.job), "--at", "2026-01-01T00:00:00Z")
    wait_for_meter(scraped, "queued_without_event", 0, 2 * SAMPLE_SECONDS)
    for table, column in (("jobs", "run_at"), ("outbox_events", "available_at")):
        run(engine, f"UPDATE duly.{table} SET {column} = now()")
    line.start_worker()
    promises.assert_kept()


def test_a_job_that_cannot_be_rescued_is_seen_until_it_is(
    line: Line, clients: Clients, promises: Promises, engine: Engine, scraped: Scraped
) -> None:
    line.receiver.answer = gate = Gate()
    clients.submit(HOLD, AWAIT)
    start_relay(line, scraped)
    worker = line.start_worker()
    wait_for("both run", lambda: len(line.receiver.deliveries) == 2)
    with locked(engine):
        worker.kill()
        wait_for_meter(scraped, "running_without_worker", 2, RESCUED_SECONDS + 2 * SAMPLE_SECONDS)
    wait_for_meter(scraped, "running_without_worker", 0, 2 * SAMPLE_SECONDS)
    gate.open()
    line.start_worker()
    promises.assert_kept()


def test_a_lost_letter_is_seen_until_the_runbook_writes_it_anew(
    line: Line, clients: Clients, promises: Promises, engine: Engine, scraped: Scraped
) -> None:
    clients.submit(DOOMED)
    start_relay(line, scraped)
    line.start_worker()
    promises.assert_kept()
    run(engine, "DELETE FROM duly.dead_letters")
    wait_for_meter(scraped, "dead_without_letter", 1, 2 * SAMPLE_SECONDS)
    run(engine, runbook_query("DulyPromiseBroken", "INSERT"))
    wait_for_meter(scraped, "dead_without_letter", 0, 2 * SAMPLE_SECONDS)
    promises.assert_kept()
    (letter,) = promises.rows("SELECT id FROM duly.dead_letters")
    line.duly("dlq", "replay", str(letter))
    wait_for("it is dead again", lambda: promises.rows(LETTERS) == [2])
    promises.assert_kept()


def test_the_meter_reads_0_while_workers_and_relays_are_killed_and_the_broker_is_wiped(
    line: Line, clients: Clients, promises: Promises, nodes: Nodes, scraped: Scraped
) -> None:
    line.environment["DULY_WINDOW"] = "20"
    clients.submit_mix()
    clients.submit(*[BOOK] * 200)
    start_relay(line, scraped)
    with read_all_along(scraped) as readings:
        relay, worker = line.start("relay", "worker")
        wait_for("some are booked", lambda: promises.booked() > 20)
        worker.kill()
        relay.kill()
        line.start("relay", "worker")
        nodes.rabbitmq.wipe()
        nodes.rabbitmq.start()
        clients.submit(*[BOOK] * 50)
        promises.assert_kept()
        after = scraped.value(SAMPLED_AT)
        wait_for("one more sample", lambda: scraped.value(SAMPLED_AT) > after)
    samples = {sampled_at for sampled_at, _ in readings if sampled_at}
    assert len(samples) > 3
    assert {broken for _, broken in readings} == {0}


@contextmanager
def locked(engine: Engine) -> Iterator[Connection]:
    """Nobody changes running jobs meanwhile."""
    with engine.begin() as connection:
        connection.execute(text("SELECT FROM duly.jobs WHERE state = 'running' FOR UPDATE"))
        yield connection


@contextmanager
def read_all_along(scraped: Scraped) -> Iterator[list[tuple[float, float]]]:
    """What the meter reads meanwhile, twice a second: the time of the sample, and all broken."""
    readings: list[tuple[float, float]] = []
    ended = threading.Event()

    def read() -> None:
        while not ended.wait(0.5):
            broken = sum(scraped.value(METER, promise=promise) for promise in PROMISES)
            readings.append((scraped.value(SAMPLED_AT), broken))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield readings
    finally:
        ended.set()
        reader.join()
