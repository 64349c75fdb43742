"""Sessions that are not as Postgres has them: by other settings, or by a pooler in between."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import psycopg
import pytest
from sqlalchemy import NullPool, create_engine, text
from structlog.testing import capture_logs

from dev.servers import Servers
from outbox import Actor, Job, Snooze
from outbox.maintenance.rescuer import Rescuer
from outbox.postgres.address import sqlalchemy_url
from outbox.postgres.session_settings import (
    TRANSITION_SETTINGS,
    configure_engine,
    connect,
    is_pooled,
)
from outbox.submission.wake_up import listen
from tests.support.engine.by_hand import ByHand
from tests.support.engine.line import Line, Note, note_kind, run_aside
from tests.support.servers.databases import new_database
from tests.support.servers.odd_settings import make_odd
from tests.support.wait import wait_for

Pooler = Callable[[str], str]
UNPREPARED, PREPARED = {"max_prepared_statements": "0"}, {"max_prepared_statements": "200"}
TEXT = "naïve 漢字"


@pytest.fixture
def odd_url(servers: Servers, template: str) -> Iterator[str]:
    """A migrated database with settings of all sorts."""
    with new_database(servers.database_url, sqlalchemy_url(template).database or "") as url:
        make_odd(url)
        yield url


def go_all_ways(url: str, amqp_url: str, queue: str) -> None:
    """Jobs that succeed, also after a snooze or an effect; that die; whose worker has gone."""
    engine = create_engine(sqlalchemy_url(url), poolclass=NullPool)
    configure_engine(engine)
    line, kind = Line(engine, url, amqp_url), note_kind(queue)
    try:
        line.start_relay(queue)
        line.start_worker(Actor(kind, _act))
        words = ("dead", "effect", "snooze", TEXT)
        dead, *wanted = [line.submit(kind(text=word)) for word in words]
        line.wait_for(dead, "dead")
        assert {each.error_message for each in line.attempts(dead)} == {TEXT}
        assert [line.wait_for(job, "succeeded").result for job in wanted] == [None, "awake", TEXT]
    finally:
        line.stop()
    with connect(url) as connection:
        lost = ByHand(connection).running(worker="gone")
    stop = run_aside(Rescuer(url, timedelta(seconds=0.3), lambda: None).run)
    wait_for("the rescue", lambda: line.attempts(lost))
    stop()
    engine.dispose()


def _act(note: Note, job: Job) -> str | None:
    if note.text == "dead":
        raise ValueError(TEXT)
    if note.text == "effect":
        with job.transaction() as tx:
            tx.execute(text("SELECT now()"))
        return None
    if note.text == "snooze":
        if job.dispatch == 1:
            raise Snooze(timedelta())
        return "awake"
    return note.text


def test_jobs_go_all_ways_whatever_settings_sessions_begin_with(
    odd_url: str, amqp_url: str, queue: str
) -> None:
    go_all_ways(odd_url, amqp_url, queue)


@pytest.mark.parametrize("pooler", [UNPREPARED, PREPARED], indirect=True)
def test_jobs_go_all_ways_through_a_pooler(
    pooler: Pooler, odd_url: str, amqp_url: str, queue: str
) -> None:
    go_all_ways(pooler(odd_url), amqp_url, queue)


def test_what_duly_sets_meets_no_other_client_of_a_pooler(
    pooler: Pooler, database_url: str
) -> None:
    url = pooler(database_url)
    with (
        connect(url, TRANSITION_SETTINGS) as connection,
        psycopg.connect(url, autocommit=True) as other,
    ):
        assert is_pooled(connection)
        assert other.execute("SHOW enable_seqscan").fetchone() == ("on",)


def test_a_session_of_our_own_is_known_and_has_what_duly_sets(database_url: str) -> None:
    with connect(database_url, TRANSITION_SETTINGS) as connection:
        assert not is_pooled(connection)
        assert connection.execute("SHOW enable_seqscan").fetchone() == ("off",)


def test_warnings_are_heard_on_sessions_of_our_own_whatever_they_begin_with(odd_url: str) -> None:
    with connect(odd_url) as connection:
        assert connection.execute("SHOW client_min_messages").fetchone() == ("notice",)


def test_behind_a_pooler_a_relay_listens_for_nothing_and_holds_no_session(
    pooler: Pooler, database_url: str
) -> None:
    with capture_logs() as said:
        stop = run_aside(lambda: listen(pooler(database_url), lambda: None))
        wait_for("it says so", lambda: said)
        stop()
    assert [each["event"] for each in said] == ["no wake-ups through a pooler, so relays poll"]
