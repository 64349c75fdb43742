"""`duly migrate`: waits, takes turns, and leaves no lock behind."""

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.exc import ProgrammingError

from dev.servers import Servers
from migrations.run import upgrade
from outbox.database import sqlalchemy_url
from tests.integration.cli.conftest import Duly
from tests.wait import wait_for

TURN = 0x64756C79
"""The lock's number in migrations/env.py."""
LOCKS = """
SELECT count(*) FROM pg_locks
WHERE locktype = 'advisory'
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
WAITING = LOCKS + "AND NOT granted"


@pytest.fixture
def duly(empty_database_url: str, amqp_url: str) -> Duly:
    """The command on a database with nothing in it."""
    return Duly(empty_database_url, amqp_url)


def test_four_at_once_take_turns(duly: Duly, empty_database_url: str) -> None:
    with psycopg.connect(empty_database_url, autocommit=True) as database:
        database.execute("SELECT pg_advisory_lock(%s)", [TURN])
        four = [duly.start("migrate") for _ in range(4)]
        wait_for("four that wait", lambda: database.execute(WAITING).fetchone() == (4,))
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
        database.execute("CREATE SCHEMA duly")
        with pytest.raises(ProgrammingError, match="already exists"):
            upgrade(empty_database_url)
        wait_for("no locks", lambda: database.execute(LOCKS).fetchone() == (0,))
        failed = duly("migrate")
        assert failed.returncode == 1
        assert failed.stderr == 'duly: Postgres refused: schema "duly" already exists\n'
        database.execute("DROP SCHEMA duly")
    assert duly("migrate").returncode == 0


def test_an_unknown_revision_is_refused(duly: Duly) -> None:
    done = duly("migrate", "--to", "9999")
    assert done.returncode == 1
    assert done.stderr.startswith("duly: cannot migrate: ")
