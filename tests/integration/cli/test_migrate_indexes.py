"""A version that builds indexes: writers go on meanwhile, and what was killed goes on as well.

These tests run a copy of the library that has one more.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import Popen
from uuid import uuid4

import psycopg
import pytest

from outbox.migrations import LATEST
from tests.integration.cli.conftest import Duly
from tests.support.wait import wait_for

CHECKOUT = Path(__file__).parents[3]
INDEXES = """
-- For a list of jobs by kind.
CREATE INDEX CONCURRENTLY test_by_kind ON duly.jobs (kind, id);
CREATE UNIQUE INDEX CONCURRENTLY test_one_for_each_subject ON duly.jobs (subject)
WHERE subject LIKE 'only%';
"""
INSERT = """
INSERT INTO duly.jobs (id, kind, queue, priority, payload, attempt_limit, attempt_budget, subject)
VALUES (%s, 'test.note', 'notes', 1, '{}', 1, 1, %s)
"""
FOUND = """
SELECT relname, indexrelid, indisvalid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
WHERE relname LIKE 'test%' ORDER BY relname
"""
STATEMENTS = """
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = %s AND query LIKE %s
"""
BUILD, POLL = "%CREATE INDEX CONCURRENTLY%", "%FROM pg_stat_progress_create_index%"


@pytest.fixture
def newer(tmp_path: Path, duly: Duly) -> Duly:
    """The command of a release with one more version of the library's tables."""
    shutil.copytree(CHECKOUT / "outbox", tmp_path / "outbox")
    sql = tmp_path / "outbox" / "migrations" / "sql" / f"{LATEST + 1:04}_test.indexes.sql"
    sql.write_text(INDEXES)
    # A safe path does not begin with the current folder, which is the checkout.
    duly.environment |= {"PYTHONPATH": str(tmp_path), "PYTHONSAFEPATH": "1"}
    return duly


@pytest.fixture
def migrate(newer: Duly) -> Iterator[Callable[[], Popen[str]]]:
    """Starts `duly migrate`, which ends with the test."""
    started: list[Popen[str]] = []

    def start() -> Popen[str]:
        started.append(newer.start("migrate"))
        return started[-1]

    yield start
    for each in started:
        kill(each)


@pytest.fixture
def writer(database_url: str) -> Iterator[psycopg.Connection]:
    """A transaction that has written a job and goes on: a build of an index waits for it."""
    with psycopg.connect(database_url) as connection:
        insert(connection)
        yield connection


def insert(connection: psycopg.Connection, subject: str | None = None) -> None:
    connection.execute("SET lock_timeout = '5s'")
    connection.execute(INSERT, [uuid4(), subject])


def valid(database: psycopg.Connection) -> dict[str, bool]:
    return {name: is_valid for name, _, is_valid in database.execute(FOUND).fetchall()}


def numbers(database: psycopg.Connection) -> list[int]:
    return [number for _, number, _ in database.execute(FOUND).fetchall()]


def waits_with(database: psycopg.Connection, statement: str, what: str = "Lock") -> int:
    """The process of Postgres that waits, for a lock or for its client, with this statement."""
    asked = [what, statement]
    (row,) = wait_for(statement, lambda: database.execute(STATEMENTS, asked).fetchall())
    return int(row[0])


def kill(process: Popen[str]) -> None:
    process.kill()
    with process:  # which closes what it writes to
        pass


def version(database: psycopg.Connection) -> int:
    ((found,),) = database.execute("SELECT max(version) FROM duly.migrations").fetchall()
    return int(found)


def test_a_killed_build_goes_on_and_writers_do_all_the_time(
    migrate: Callable[[], Popen[str]], writer: psycopg.Connection, sql_now: psycopg.Connection
) -> None:
    killed = migrate()
    build = waits_with(sql_now, BUILD)
    insert(sql_now)
    kill(killed)
    sql_now.execute("SELECT pg_terminate_backend(%s, 60000)", [build])
    assert (valid(sql_now), version(sql_now)) == ({"test_by_kind": False}, LATEST)
    left = numbers(sql_now)

    again = migrate()
    waits_with(sql_now, "DROP INDEX CONCURRENTLY%")
    insert(sql_now)
    writer.commit()
    _, talk = again.communicate(timeout=60)
    assert talk == "duly: the database is up to date\n"
    assert valid(sql_now) == {"test_by_kind": True, "test_one_for_each_subject": True}
    assert version(sql_now) == LATEST + 1
    assert left[0] not in numbers(sql_now)


def test_a_build_that_postgres_still_does_for_a_killed_process_is_waited_for_and_kept(
    migrate: Callable[[], Popen[str]], writer: psycopg.Connection, sql_now: psycopg.Connection
) -> None:
    killed = migrate()
    waits_with(sql_now, BUILD)
    kill(killed)
    again = migrate()
    waits_with(sql_now, POLL, "Client")
    insert(sql_now)
    building = numbers(sql_now)
    writer.commit()
    _, talk = again.communicate(timeout=60)
    assert talk == "duly: the database is up to date\n"
    assert all(valid(sql_now).values())
    assert numbers(sql_now)[0] == building[0]


def test_a_refused_build_leaves_what_was_built_and_goes_on_from_there(
    migrate: Callable[[], Popen[str]], sql_now: psycopg.Connection
) -> None:
    insert(sql_now, "only one")
    insert(sql_now, "only one")
    refused = migrate()
    _, talk = refused.communicate(timeout=60)
    assert refused.returncode == 1
    assert talk == (
        'duly: Postgres refused: could not create unique index "test_one_for_each_subject"\n'
    )
    assert valid(sql_now) == {"test_by_kind": True, "test_one_for_each_subject": False}
    assert version(sql_now) == LATEST
    built = numbers(sql_now)

    sql_now.execute("UPDATE duly.jobs SET subject = id::text")
    assert migrate().wait(60) == 0
    assert valid(sql_now) == {"test_by_kind": True, "test_one_for_each_subject": True}
    assert numbers(sql_now)[0] == built[0]
