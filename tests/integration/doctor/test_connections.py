"""How many connections the processes really open, which the doctor counts on."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import psycopg
import pytest
from pydantic import BaseModel
from sqlalchemy import Engine, make_url
from sqlalchemy.orm import Session

from outbox import Job, Kind, Kinds, actor, publish
from outbox.doctor.checks import connections
from outbox.http.requests.database import CONNECTIONS
from outbox.listeners import measures
from outbox.maintenance.sampling.sampled import Sampled
from outbox.relay.duties import Duties
from outbox.worker.runners.engines import TASKS_CONNECTIONS
from tests.support.engine.line import Line, run_aside
from tests.support.wait import wait_for

pytestmark = pytest.mark.usefixtures("own_database")


@pytest.fixture
def named(database_url: str) -> str:
    """The address of the database for the process whose connections are counted."""
    url = make_url(database_url).update_query_dict({"application_name": "counted"})
    return url.render_as_string(hide_password=False)


@pytest.fixture
def count(sql_now: psycopg.Connection) -> Callable[[], int]:
    """How many connections it has."""

    def count() -> int:
        query = "SELECT count(*)::int FROM pg_stat_activity WHERE application_name = 'counted'"
        (found,) = sql_now.execute(query).fetchone() or (0,)
        return int(found)

    return count


@pytest.fixture
def sampled() -> Iterator[None]:
    """Somebody listens to samples, as a process with a port for metrics does."""
    end = measures.on(Sampled, lambda _: None)
    yield
    end()


class Told(BaseModel):
    """What another service is told."""


@pytest.mark.usefixtures("sampled")
def test_a_relay_with_all_its_duties_opens_as_many_as_are_counted(
    named: str, amqp_url: str, queue: str, engine: Engine, count: Callable[[], int]
) -> None:
    with Session(engine) as session, session.begin():
        publish(session, "", queue, Told(), type="told")
    duties = Duties(
        *(named, amqp_url, [queue]),
        window=10,
        kinds=Kinds(),
        silence=timedelta(seconds=10),
        patience=timedelta(seconds=30),
        retention=timedelta(days=1),
        keep_closed=timedelta(days=1),
    )
    stop = run_aside(*duties.settling.values(), *duties.others.values())
    try:
        # One duty closes its connection, and opens one again each minute.
        wait_for("all connections", lambda: count() >= connections.OF_RELAY - 1, 20)
        assert count() <= connections.OF_RELAY
    finally:
        stop()


def test_an_idle_worker_opens_as_many_as_are_counted_besides_those_of_actors(
    named: str, amqp_url: str, queue: str, engine: Engine, count: Callable[[], int]
) -> None:
    @actor(Kind(f"{queue}.do", Told, queue=queue))
    def do(_: Told, job: Job) -> None:
        """Nothing."""

    line = Line(engine, named, amqp_url)
    try:
        line.start_worker(do)
        wait_for("all connections", lambda: count() == connections.OF_WORKER)
    finally:
        line.stop()


def test_what_an_api_and_tasks_share_is_counted() -> None:
    assert connections.OF_API == CONNECTIONS + 1
    assert connections.OF_TASKS == TASKS_CONNECTIONS
