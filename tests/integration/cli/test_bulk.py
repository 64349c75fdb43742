"""A bulk action over several chunks, and Postgres lost between them."""

import json

import psycopg
import pytest

from tests.integration.cli.conftest import Duly
from tests.integration.engine.by_hand import WAITING
from tests.wait import wait_for

MANY = """
INSERT INTO duly.dead_letters (job_id, dispatch, queue, reason)
SELECT gen_random_uuid(), 1, 'email', 'exhausted' FROM generate_series(1, 1200)
"""
OPEN = "SELECT count(*) FROM duly.dead_letters WHERE closed_at IS NULL"


@pytest.fixture(autouse=True)
def _many(sql_now: psycopg.Connection) -> None:
    sql_now.execute(MANY)


def test_each_chunk_is_told(duly: Duly, sql_now: psycopg.Connection) -> None:
    done = duly("dlq", "discard", "--all", "--yes", "--output", "ndjson")
    closed = [json.loads(line)["id"] for line in done.stdout.splitlines()]
    assert sorted(closed) == [*range(1, 1201)]
    assert done.stderr.splitlines() == [
        "duly: 500 of 1200 ...",
        "duly: 1000 of 1200 ...",
        "duly: 1200 of 1200 ...",
        "duly: 1200 of 1200 discarded",
    ]
    assert sql_now.execute(OPEN).fetchone() == (0,)


def test_the_same_command_does_what_a_lost_connection_left(
    duly: Duly, database_url: str, sql_now: psycopg.Connection
) -> None:
    command = ("dlq", "discard", "--all", "--yes")
    with psycopg.connect(database_url) as blocker, duly.start(*command) as discarding:
        blocker.execute("SELECT FROM duly.dead_letters WHERE id = 600 FOR UPDATE")
        wait_for("the command to be blocked", lambda: sql_now.execute(WAITING).fetchone())
        sql_now.execute(f"SELECT pg_terminate_backend(pid) FROM ({WAITING}) AS waiting")
        _, talk = discarding.communicate(timeout=30)
    assert discarding.returncode == 4
    assert talk.splitlines()[-1] == "duly: 500 of 1200 discarded"
    assert sql_now.execute(OPEN).fetchone() == (700,)
    assert duly(*command).stderr.splitlines()[-1] == "duly: 700 of 700 discarded"
