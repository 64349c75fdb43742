"""Each alert fires when what it tells of is broken, and clears when it is mended.

A real Prometheus has the shipped rules, in which minutes are seconds, and scrapes real processes.
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from dev.memory import MEMORY
from dev.ports import free_port
from outbox import Missed, monitoring, publish, submit
from tests.faults.actors import AWAIT, BOOK, CALL, DOOMED, HOLD
from tests.faults.clients import Clients
from tests.faults.keyed import BOOK_NEXT
from tests.faults.line import Line
from tests.faults.promises import Promises
from tests.support.engine.rabbit import Rabbit
from tests.support.engine.schedules import Timetable
from tests.support.monitoring.alarms import Alarms, watching
from tests.support.monitoring.hurried import hurried
from tests.support.outside.arrivals import Gate
from tests.support.outside.receiver import status
from tests.support.servers.nodes import Nodes, frozen
from tests.support.service.process import Process
from tests.support.wait import wait_for

pytestmark = pytest.mark.slow

RELAY, WORKER = "relay", "worker"
MORE_THAN_THREADS = 20
"""So many jobs at once leave some waiting: a worker has 16 threads."""
PARTNER = "partner.of.alerts"
LONG_AGO = "2026-01-01T00:00:00Z"


@dataclass(frozen=True)
class Watched:
    """Starts a relay and a worker where Prometheus looks for them; one of each at a time."""

    line: Line
    ports: dict[str, int]

    def relay(self) -> Process:
        """Start it; it samples the database often."""
        return self.line.start_impatient(RELAY, "--metrics-port", str(self.ports[RELAY]))

    def worker(self) -> Process:
        """Start it."""
        return self.line.start_worker("--metrics-port", str(self.ports[WORKER]))


@pytest.fixture
def watched(line: Line) -> Watched:
    """Nothing runs yet."""
    return Watched(line, {RELAY: free_port(), WORKER: free_port()})


@pytest.fixture
def alarms(watched: Watched) -> Iterator[Alarms]:
    """Those of a Prometheus that looks for a relay and a worker."""
    targets = {name: [f"127.0.0.1:{port}"] for name, port in watched.ports.items()}
    with (
        TemporaryDirectory(prefix="duly-prometheus-", dir=MEMORY) as folder,
        watching(Path(folder), hurried(monitoring.alerts()), targets) as alarms,
    ):
        yield alarms


@pytest.fixture
def timetable(engine: Engine, sql_now: psycopg.Connection, database_url: str) -> Timetable:
    """A schedule to be created."""
    return Timetable(engine, sql_now, database_url)


def test_the_relay_is_stopped(watched: Watched, alarms: Alarms) -> None:
    relay, _ = watched.relay(), watched.worker()
    alarms.wait_until_quiet()
    relay.terminate()
    alarms.wait_until_raised("DulyRelayDown")
    watched.relay()
    alarms.wait_until_cleared("DulyRelayDown")


def test_the_worker_is_stopped(
    watched: Watched, alarms: Alarms, clients: Clients, promises: Promises
) -> None:
    _, worker = watched.relay(), watched.worker()
    alarms.wait_until_quiet()
    worker.terminate()
    worker.wait()
    clients.submit(BOOK)
    for name in ("DulyNoWorker", "DulyOldestJob"):
        assert alarms.wait_until_raised(name)["queue"] == BOOK.queue
    watched.worker()
    for name in ("DulyNoWorker", "DulyOldestJob"):
        alarms.wait_until_cleared(name)
    promises.assert_kept()


def test_the_broker_is_down(
    watched: Watched, alarms: Alarms, clients: Clients, promises: Promises, nodes: Nodes
) -> None:
    _, _ = watched.relay(), watched.worker()
    alarms.wait_until_quiet()
    nodes.rabbitmq.kill()
    clients.submit(BOOK)
    try:
        alarms.wait_until_raised("DulyBrokerDown")
        assert alarms.wait_until_raised("DulyOutboxLag")["queue"] == BOOK.queue
    finally:
        nodes.rabbitmq.start()
    alarms.wait_until_cleared("DulyBrokerDown")
    alarms.wait_until_cleared("DulyOutboxLag")
    promises.assert_kept()


def test_the_broker_takes_nothing(
    watched: Watched, alarms: Alarms, clients: Clients, promises: Promises, nodes: Nodes
) -> None:
    _, _ = watched.relay(), watched.worker()
    alarms.wait_until_quiet()
    nodes.rabbitmq.control("set_vm_memory_high_watermark", "absolute", "1")
    try:
        clients.submit(BOOK)
        alarms.wait_until_raised("DulyBrokerBlocked")
    finally:
        nodes.rabbitmq.control("set_vm_memory_high_watermark", "0.4")
    alarms.wait_until_cleared("DulyBrokerBlocked")
    promises.assert_kept()


def test_postgres_is_down(watched: Watched, alarms: Alarms, nodes: Nodes) -> None:
    _, _ = watched.relay(), watched.worker()
    alarms.wait_until_quiet()
    nodes.postgres.kill()
    try:
        for name in ("DulyPostgresDown", "DulySampleStale"):
            alarms.wait_until_raised(name)
    finally:
        nodes.postgres.start()
    for name in ("DulyPostgresDown", "DulySampleStale"):
        alarms.wait_until_cleared(name)


def test_postgres_stands_still(watched: Watched, alarms: Alarms, nodes: Nodes) -> None:
    _, _ = watched.relay(), watched.worker()
    alarms.wait_until_quiet()
    with frozen(nodes.postgres):
        alarms.wait_until_raised("DulySampleStale")
    alarms.wait_until_cleared("DulySampleStale")


def test_attempts_fail(watched: Watched, alarms: Alarms, clients: Clients) -> None:
    _, _ = watched.relay(), watched.worker()
    watched.line.receiver.answer = status(500)
    wait_for("a storm", lambda: clients.submit(CALL) and "DulyRetryStorm" in alarms.firing())
    assert alarms.wait_until_raised("DulyRetryStorm")["kind"] == CALL.name
    watched.line.receiver.answer = status(204)
    alarms.wait_until_cleared("DulyRetryStorm")


def test_jobs_die(watched: Watched, alarms: Alarms, clients: Clients) -> None:
    _, _ = watched.relay(), watched.worker()
    alarms.wait_until_quiet()
    clients.submit(*[DOOMED] * 5)
    assert alarms.wait_until_raised("DulyDeadLettersRising")["queue"] == DOOMED.queue
    alarms.wait_until_cleared("DulyDeadLettersRising")


def test_nobody_looks_at_a_dead_letter(
    watched: Watched, alarms: Alarms, clients: Clients, sql_now: psycopg.Connection
) -> None:
    _, _ = watched.relay(), watched.worker()
    clients.submit(DOOMED)
    older = "UPDATE duly.dead_letters SET died_at = died_at - interval '2 days' RETURNING id"
    (letter,) = wait_for("a letter", lambda: sql_now.execute(older).fetchone())
    alarms.wait_until_raised("DulyDeadLetterUnseen")
    watched.line.duly("dlq", "show", str(letter))
    alarms.wait_until_cleared("DulyDeadLetterUnseen")


def test_a_worker_dies_with_its_jobs(
    watched: Watched, alarms: Alarms, clients: Clients, promises: Promises
) -> None:
    watched.line.receiver.answer = gate = Gate()
    _, worker = watched.relay(), watched.worker()
    alarms.wait_until_quiet()
    clients.submit(*[AWAIT] * 10)
    wait_for("all run", lambda: len(watched.line.receiver.deliveries) == 10)
    worker.kill()
    gate.open()
    watched.worker()
    alarms.wait_until_raised("DulyRescues")
    alarms.wait_until_cleared("DulyRescues")
    promises.assert_kept()


def test_jobs_complete_no_more(
    watched: Watched, alarms: Alarms, clients: Clients, promises: Promises
) -> None:
    _, _ = watched.relay(), watched.worker()
    alarms.wait_until_quiet()
    clients.submit(*[BOOK] * 200)
    wait_for("they are done", lambda: promises.booked() == 200)
    watched.line.receiver.answer = gate = Gate()
    clients.submit(*[HOLD] * MORE_THAN_THREADS)
    alarms.wait_until_raised("DulyCompletionCollapsed")
    gate.open()
    alarms.wait_until_cleared("DulyCompletionCollapsed")
    promises.assert_kept()


def test_a_tick_is_not_made(
    watched: Watched, alarms: Alarms, timetable: Timetable, database_url: str
) -> None:
    """Somebody else has locked the table in which it would be."""
    _, _ = watched.relay(), watched.worker()
    alarms.wait_until_quiet()
    timetable.create(BOOK(mark="tick"))
    with psycopg.connect(database_url) as other:
        other.execute("LOCK TABLE duly.ticks IN SHARE MODE")
        timetable.go_back(1)
        alarms.wait_until_raised("DulyScheduleLate")
    alarms.wait_until_cleared("DulyScheduleLate")


def test_ticks_are_missed(watched: Watched, alarms: Alarms, timetable: Timetable) -> None:
    timetable.create(BOOK(mark="tick"), missed=Missed.SKIP)
    timetable.go_back(2)
    _, _ = watched.relay(), watched.worker()
    alarms.wait_until_raised("DulyTicksMissed")
    alarms.wait_until_cleared("DulyTicksMissed")


def test_jobs_are_held_for_long(watched: Watched, alarms: Alarms, engine: Engine) -> None:
    """By the first of an ordered key, whose time is tomorrow."""
    watched.line.environment["DULY_ACTORS"] = "tests.faults.keyed:ACTORS"
    _, _ = watched.relay(), watched.worker()
    with Session(engine) as session, session.begin():
        tomorrow = datetime.now(UTC) + timedelta(days=1)
        first = submit(session, BOOK_NEXT(key="a", number=1), run_at=tomorrow)
        submit(session, BOOK_NEXT(key="a", number=2))
    assert alarms.wait_until_raised("DulyJobsHeld")["queue"] == BOOK_NEXT.queue
    reschedule = ("jobs", "reschedule", str(first.id))
    watched.line.duly(*reschedule, "--at", LONG_AGO, "--why", "others wait")
    alarms.wait_until_cleared("DulyJobsHeld")


def test_the_queue_of_a_message_is_missing(
    watched: Watched, alarms: Alarms, engine: Engine, amqp_url: str
) -> None:
    _, _ = watched.relay(), watched.worker()
    alarms.wait_until_quiet()
    with Session(engine) as session, session.begin():
        publish(session, "", PARTNER, {"number": 1}, type="t")
    alarms.wait_until_raised("DulyMessagesWait")
    with closing(Rabbit(amqp_url)) as rabbit:
        rabbit.declare(PARTNER)
        alarms.wait_until_cleared("DulyMessagesWait")
        assert rabbit.depth(PARTNER) == 1


def test_an_event_is_deleted(
    watched: Watched, alarms: Alarms, clients: Clients, sql_now: psycopg.Connection
) -> None:
    """As somebody does who edits Duly's tables; the runbook says how to mend it."""
    clients.submit(BOOK)
    sql_now.execute("DELETE FROM duly.outbox_events")
    _, _ = watched.relay(), watched.worker()
    labels = alarms.wait_until_raised("DulyPromiseBroken")
    assert labels["promise"] == "queued_without_event"
    (job,) = clients.accepted
    reschedule = ("jobs", "reschedule", str(job.job))
    watched.line.duly(*reschedule, "--at", LONG_AGO, "--why", "its event was deleted")
    alarms.wait_until_cleared("DulyPromiseBroken")


def test_each_alert_is_made_to_fire_here() -> None:
    text = Path(__file__).read_text()
    rules = monitoring.alerts()
    named = {line.split("alert: ")[1] for line in rules.splitlines() if "- alert: " in line}
    assert [name for name in sorted(named) if f'"{name}"' not in text] == []
