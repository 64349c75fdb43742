"""What the engine's tests share: a queue each, the line around it, and ways to break it."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import dramatiq
import dramatiq.worker
import psycopg
import pytest
from sqlalchemy import Engine, make_url

from dev.servers import Servers
from outbox.amqp import queue_backoff
from outbox.events import Event, on
from outbox.maintenance import dead_letter_collector, dead_letter_consumer, rescuer
from outbox.maintenance.pruning import pruner
from outbox.relay import poll_policy
from outbox.store.schema import acts, metadata
from outbox.worker import ownership
from outbox.worker.attempts import attempt
from outbox.worker.records import group_commit, held_records
from outbox.worker.runners import time_limit
from tests.integration.engine.refusing import Refusing
from tests.support.engine.by_hand import ByHand
from tests.support.engine.effects import Effects
from tests.support.engine.line import Line
from tests.support.engine.rabbit import Rabbit
from tests.support.network.proxy import Proxy, before
from tests.support.servers.databases import new_database


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Poll intervals and delays are short, so that the tests are."""
    monkeypatch.setattr(poll_policy, "IDLE_POLL_SECONDS", 0.05)
    monkeypatch.setattr(dead_letter_collector, "POLL_SECONDS", 0.1)
    monkeypatch.setattr(queue_backoff, "FIRST_SECONDS", 0.1)
    monkeypatch.setattr(dead_letter_consumer, "RETRY_SECONDS", 0.1)
    monkeypatch.setattr(dead_letter_consumer, "RETRIES_PER_SECOND", 1000)
    monkeypatch.setattr(rescuer, "POLL_SECONDS", 0.1)
    monkeypatch.setattr(pruner, "WALK_INTERVAL_SECONDS", 0.1)
    monkeypatch.setattr(group_commit, "RETRY_SECONDS", 0.05)
    monkeypatch.setattr(ownership, "COMPARE_SECONDS", 0.1)
    monkeypatch.setattr(held_records, "FIRST_SECONDS", 0.05)
    monkeypatch.setattr(group_commit, "ANSWER_POLL_SECONDS", 0.1)
    monkeypatch.setattr(attempt, "OUTAGE_DELAY_SECONDS", 0.1)
    monkeypatch.setattr(attempt, "OUTAGE_SPREADS_SECONDS", 0.2)
    monkeypatch.setattr(time_limit, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(dramatiq.worker, "CONSUMER_RESTART_DELAY_SECS", 0.1)
    defaults = dramatiq.Worker.__init__.__kwdefaults__
    assert defaults
    monkeypatch.setitem(defaults, "worker_timeout", 100)


@pytest.fixture(scope="session")
def shared_database_url(servers: Servers, template: str) -> Iterator[str]:
    """One database for all tests of the engine: a copy for each would take most of the time."""
    with new_database(servers.database_url, make_url(template).database or "") as url:
        yield url


@pytest.fixture
def database_url(shared_database_url: str) -> str:
    """The engine's database, emptied but of the record of acts, which is append-only."""
    with psycopg.connect(shared_database_url) as connection:
        for table in metadata.tables.keys() - {str(acts)}:
            connection.execute(f"DELETE FROM {table}")
    return shared_database_url


@pytest.fixture
def small_tables(sql_now: psycopg.Connection) -> None:
    """Tables without the empty blocks that other tests left: all of a small table is sampled."""
    sql_now.execute("TRUNCATE duly.outbox_events, duly.dead_letters")


@pytest.fixture
def new_queue(rabbit: Rabbit) -> Iterator[Callable[[], str]]:
    """Names queues of the test's own, deleted afterwards."""
    names: list[str] = []

    def new_queue() -> str:
        names.append(f"t{uuid4().hex[:12]}")
        return names[-1]

    yield new_queue
    for name in names:
        rabbit.delete(name)


@pytest.fixture
def queue(new_queue: Callable[[], str]) -> str:
    """A queue of the test's own. It exists once a relay or worker has declared it."""
    return new_queue()


@pytest.fixture
def line(engine: Engine, database_url: str, amqp_url: str, queue: str) -> Iterator[Line]:
    """Relays and workers, stopped before the queues are deleted."""
    line = Line(engine, database_url, amqp_url)
    yield line
    line.stop()


@pytest.fixture
def effects(engine: Engine) -> Effects:
    """A table for what actors do."""
    return Effects(engine)


@pytest.fixture
def proxy(amqp_url: str) -> Iterator[Proxy]:
    """A way to the broker that the test can cut."""
    with before(amqp_url) as proxy:
        yield proxy


@pytest.fixture
def heard() -> Iterator[list[Any]]:
    """All events of the test, in order."""
    found: list[Event] = []
    end = on(Event, found.append)
    yield found
    end()


@pytest.fixture
def cut_postgres(sql_now: psycopg.Connection) -> Callable[[], int]:
    """Ends every other connection to the test's database; returns how many there were."""

    def cut() -> int:
        ended = sql_now.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return len(ended.fetchall())

    return cut


@pytest.fixture
def by_hand(sql_now: psycopg.Connection) -> ByHand:
    """The steps, one at a time."""
    return ByHand(sql_now)


@pytest.fixture
def other_hand(database_url: str) -> Iterator[ByHand]:
    """A second pair of hands, for what happens at the same time."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield ByHand(connection)


@pytest.fixture
def refusing(sql_now: psycopg.Connection) -> Iterator[Refusing]:
    """Has Postgres refuse rows."""
    refusing = Refusing(sql_now)
    yield refusing
    refusing.take()


@pytest.fixture
def referred(sql_now: psycopg.Connection) -> Iterator[str]:
    """A table of the application's that refers to jobs."""
    sql_now.execute("CREATE TABLE referring (job uuid REFERENCES duly.jobs)")
    yield "referring"
    sql_now.execute("DROP TABLE referring")
