"""What the doctor says of commits that are not safe, connections that run out and dead rows."""

from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest

from outbox.doctor import Level, Setup
from outbox.doctor.checks import clocks, vacuum
from outbox.store import transitions
from tests.integration.doctor.conftest import find

WELL = (
    *("clock", "durability", "replication", "connections", "app-migrations", "autovacuum"),
    *("open-transactions", "prepared-transactions"),
)


def test_all_is_well_without_replication(
    setup: Setup, role: str, sql_now: psycopg.Connection
) -> None:
    sql_now.execute(f"GRANT SELECT ON public.alembic_version TO {role}")
    found = {name: find(name, setup) for name in WELL}
    assert {name: each for name, each in found.items() if each.level is not Level.OK} == {}
    assert found["replication"].found.startswith("it is not synchronous (0 standbys)")


def test_a_role_whose_commits_do_not_wait_for_the_disk(
    setup: Setup, role: str, sql_now: psycopg.Connection
) -> None:
    sql_now.execute(f"ALTER ROLE {role} SET synchronous_commit = off")
    found = find("durability", setup)
    assert found.level is Level.ERROR
    assert found.change == f"ALTER ROLE {role} SET synchronous_commit = on"
    sql_now.execute(found.change)
    assert find("durability", setup).level is Level.OK


def test_a_role_that_may_open_too_few_connections(
    setup: Setup, role: str, queue: str, sql_now: psycopg.Connection
) -> None:
    sql_now.execute("DELETE FROM duly.workers")  # those of other tests
    sql_now.execute(f"ALTER ROLE {role} CONNECTION LIMIT 20")
    assert find("connections", setup).level is Level.OK
    beat = {"name": queue, "queues": f'["{queue}"]', "threads": 50, "tasks": 100, "code": None}
    sql_now.execute(transitions.RECORD_HEARTBEAT, beat)
    found = find("connections", setup)
    assert found.level is Level.WARNING
    assert "may need 90 connections, and the limit of the role leaves 20" in found.found
    sql_now.execute(f"ALTER ROLE {role} CONNECTION LIMIT 3")
    found = find("connections", setup)
    assert found.found == "1 of the limit of the role (3) are in use"
    assert found.change == f"ALTER ROLE {role} CONNECTION LIMIT -1"
    sql_now.execute("DELETE FROM duly.workers WHERE name = %s", [queue])


@pytest.mark.usefixtures("own_database")
@pytest.mark.parametrize("off", ["false", "off", "0"])
def test_a_table_that_autovacuum_leaves_out(
    setup: Setup, sql_now: psycopg.Connection, off: str
) -> None:
    sql_now.execute(f"ALTER TABLE duly.jobs SET (autovacuum_enabled = {off})")
    found = find("autovacuum", setup)
    assert found.level is Level.WARNING
    assert found.change == "ALTER TABLE duly.jobs RESET (autovacuum_enabled)"
    sql_now.execute(found.change)
    assert find("autovacuum", setup).level is Level.OK


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is open at all has been open for long."""
    monkeypatch.setattr(vacuum, "LONG", timedelta())


@pytest.mark.usefixtures("at_once")
def test_a_transaction_that_is_left_open(
    setup: Setup, app_database_url: str, sql_now: psycopg.Connection
) -> None:
    with psycopg.connect(app_database_url, application_name="forgotten") as forgotten:
        forgotten.execute("SELECT pg_current_xact_id()")
        found = find("open-transactions", setup)
        assert found.level is Level.WARNING
        assert "(forgotten), for 0 s" in found.found
        assert found.change == f"SELECT pg_terminate_backend({forgotten.info.backend_pid})"
    assert find("open-transactions", setup).level is Level.OK


def test_transactions_that_the_role_may_not_see_are_not_taken_for_well(
    setup: Setup, role: str, database_url: str, sql_now: psycopg.Connection
) -> None:
    with psycopg.connect(database_url) as other:
        other.execute("SELECT pg_current_xact_id()")
        found = find("open-transactions", setup)
        assert found.level is Level.SKIPPED
        assert found.found.endswith(f": GRANT pg_read_all_stats TO {role}")
        sql_now.execute(found.found.partition(": ")[2])
        assert find("open-transactions", setup).level is Level.OK


@pytest.fixture
def left_behind(sql_now: psycopg.Connection) -> Iterator[None]:
    """A prepared transaction, in this database."""
    try:
        sql_now.execute("BEGIN; SELECT pg_current_xact_id(); PREPARE TRANSACTION 'it''s mine'")
    except psycopg.errors.ObjectNotInPrerequisiteState:
        pytest.skip("this Postgres prepares no transactions")
    yield
    left = sql_now.execute("SELECT gid FROM pg_prepared_xacts WHERE gid = 'it''s mine'").fetchone()
    if left:
        sql_now.execute("ROLLBACK PREPARED 'it''s mine'")


@pytest.mark.usefixtures("at_once", "left_behind")
def test_a_prepared_transaction_that_is_left_behind(
    setup: Setup, sql_now: psycopg.Connection
) -> None:
    found = find("prepared-transactions", setup)
    assert (found.level, found.change) == (Level.WARNING, "ROLLBACK PREPARED 'it''s mine'")
    sql_now.execute(found.change or "")
    assert find("prepared-transactions", setup).level is Level.OK


@pytest.mark.parametrize(
    ("told", "level"), [(100.5, Level.OK), (130, Level.WARNING), (70, Level.WARNING), (0, "error")]
)
def test_how_far_a_clock_may_be_off(told: float, level: str) -> None:
    """tests/faults/test_doctor.py steps the clock of a Postgres."""
    assert clocks.compared("Postgres", told, before=99, after=100).level == level


@pytest.mark.usefixtures("own_database")
def test_migrations_of_the_app_that_have_not_run(
    setup: Setup, role: str, sql_now: psycopg.Connection
) -> None:
    found = find("app-migrations", setup)
    assert found.level is Level.SKIPPED
    assert found.found.endswith(f": GRANT SELECT ON public.alembic_version TO {role}")
    sql_now.execute(found.found.partition(": ")[2])
    assert find("app-migrations", setup).level is Level.OK
    sql_now.execute("UPDATE public.alembic_version SET version_num = '0003'")
    found = find("app-migrations", setup)
    assert (found.level, found.change) == (Level.ERROR, "duly migrate")
    sql_now.execute("UPDATE public.alembic_version SET version_num = 'later'")
    assert find("app-migrations", setup).level is Level.WARNING
    sql_now.execute("DROP TABLE public.alembic_version")
    assert find("app-migrations", setup).level is Level.ERROR
