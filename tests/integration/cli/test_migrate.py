"""`duly migrate`: waits, takes turns, and leaves no lock behind."""

from collections.abc import Callable

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.exc import ProgrammingError

from dev.servers import Servers
from migrations.run import upgrade
from outbox.migrations.lock import NUMBER
from outbox.postgres.address import sqlalchemy_url
from outbox.store.schema import metadata
from service.subjects import TABLES
from tests.integration.cli.conftest import Duly
from tests.support.servers.odd_settings import make_odd
from tests.support.wait import wait_for

LOCKS = """
SELECT count(*) FROM pg_locks
WHERE locktype = 'advisory'
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def tables(database: psycopg.Connection) -> set[str]:
    """All tables that are not Postgres's own, with their schemas."""
    found = database.execute(
        "SELECT schemaname || '.' || tablename FROM pg_tables"
        " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
    )
    return {name for (name,) in found}


EXPECTED = {*metadata.tables, *TABLES.tables, "public.alembic_version"}


@pytest.fixture
def duly(empty_database_url: str, amqp_url: str) -> Duly:
    """The command on a database with nothing in it."""
    return Duly(empty_database_url, amqp_url)


def test_four_at_once_take_turns(duly: Duly, empty_database_url: str) -> None:
    with psycopg.connect(empty_database_url, autocommit=True) as database:
        database.execute("SELECT pg_advisory_lock(%s)", [NUMBER])
        four = [duly.start("migrate") for _ in range(4)]
        for each in four:
            assert each.stderr
            assert each.stderr.readline() == "duly: waiting for another process that migrates\n"
    for each in four:
        _, talk = each.communicate(timeout=60)
        assert (each.returncode, talk) == (0, "duly: the database is up to date\n")
    assert duly.json("jobs", "list") == []


def test_it_waits_for_postgres(duly: Duly, servers: Servers, empty_database_url: str) -> None:
    name = sql.Identifier(sqlalchemy_url(empty_database_url).database or "")
    with psycopg.connect(servers.database_url, autocommit=True) as admin:
        admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(name))
        with duly.start("migrate") as migrating:
            assert migrating.stderr
            assert migrating.stderr.readline().startswith("duly: waiting for Postgres: ")
            admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(name))
            assert migrating.wait(timeout=60) == 0


def test_a_failure_lets_the_next_one_have_its_turn(duly: Duly, empty_database_url: str) -> None:
    with psycopg.connect(empty_database_url, autocommit=True) as database:
        database.execute("CREATE SCHEMA duly; CREATE TABLE duly.workers ()")
        with pytest.raises(ProgrammingError, match="already exists"):
            upgrade(empty_database_url)
        wait_for("no locks", lambda: database.execute(LOCKS).fetchone() == (0,))
        failed = duly("migrate")
        assert failed.returncode == 1
        assert failed.stderr == 'duly: Postgres refused: relation "workers" already exists\n'
        database.execute("DROP SCHEMA duly CASCADE")
    assert duly("migrate").returncode == 0


def test_an_unknown_revision_is_refused(duly: Duly) -> None:
    done = duly("migrate", "--to", "9999")
    assert done.returncode == 1
    assert done.stderr.startswith("duly: cannot migrate: ")


def test_it_does_not_wait_for_ever_for_its_turn(duly: Duly, empty_database_url: str) -> None:
    with psycopg.connect(empty_database_url, autocommit=True) as database:
        database.execute("SELECT pg_advisory_lock(%s)", [NUMBER])
        done = duly("migrate", "--wait", "0")
    assert done.returncode == 1
    assert done.stderr.endswith(
        "duly: cannot migrate: another process has been migrating for 0 s\n"
    )


def test_two_at_once_through_a_pooler_leave_nothing_to_other_clients(
    duly: Duly, pooler: Callable[[str], str], empty_database_url: str
) -> None:
    duly.environment["DATABASE_URL"] = pooler(empty_database_url)
    two = [duly.start("migrate") for _ in range(2)]
    for each in two:
        _, talk = each.communicate(timeout=60)
        assert each.returncode == 0, talk
    with psycopg.connect(empty_database_url, autocommit=True) as database:
        assert database.execute(LOCKS).fetchone() == (0,)
        assert tables(database) == EXPECTED
    with psycopg.connect(pooler(empty_database_url), autocommit=True) as client:
        for setting in ("search_path", "lock_timeout"):
            with psycopg.connect(empty_database_url, autocommit=True) as fresh:
                expected = fresh.execute(f"SHOW {setting}").fetchone()
            assert client.execute(f"SHOW {setting}").fetchone() == expected


def test_tables_are_where_they_belong_whatever_the_search_path(
    duly: Duly, empty_database_url: str
) -> None:
    make_odd(empty_database_url)
    assert duly("migrate").returncode == 0
    assert duly.json("jobs", "list") == []
    with psycopg.connect(empty_database_url, autocommit=True) as database:
        assert tables(database) == EXPECTED


def test_a_database_that_is_not_utf8_is_refused(
    duly: Duly, servers: Servers, empty_database_url: str
) -> None:
    name = sql.Identifier(sqlalchemy_url(empty_database_url).database or "")
    with psycopg.connect(servers.database_url, autocommit=True) as admin:
        admin.execute(sql.SQL("DROP DATABASE {}").format(name))
        latin = sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING LATIN1 LOCALE 'C'")
        admin.execute(latin.format(name))
    done = duly("migrate")
    assert done.returncode == 1
    why = "the database's encoding is LATIN1, and has to be UTF8"
    assert done.stderr == f"duly: cannot migrate: {why}\n"
