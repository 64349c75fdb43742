"""A list reads a bounded number of rows, and misses none."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import event, text
from sqlalchemy.orm import Session

from outbox import submit
from outbox.operations import dead_letters, jobs, pages
from outbox.operations.dead_letters import DeadLetterFilter
from outbox.operations.jobs import JobFilter
from tests.support.engine.line import note_kind
from tests.support.wait import wait_for

MANY = 60_000
JOBS = """
INSERT INTO duly.jobs (id, kind, queue, priority, payload, state, attempt_limit, attempt_budget)
SELECT lpad(to_hex(n), 32, '0')::uuid, 'test.note', CASE n %% 30 WHEN 0 THEN 'rare' ELSE 'q' END,
       1, '{}', 'succeeded', 3, 3
FROM generate_series(1, %s) AS n
"""
LETTERS = """
INSERT INTO duly.dead_letters (kind, queue, reason, error_message, closed_at)
SELECT 'test.note', CASE n %% 30 WHEN 0 THEN 'rare' ELSE 'q' END, 'refused', 'no such user',
       CASE n %% 2 WHEN 0 THEN now() END
FROM generate_series(1, %s) AS n
"""
CLOSE_NEWEST = """
UPDATE duly.dead_letters SET closed_at = now() WHERE id IN (
    SELECT id FROM duly.dead_letters WHERE closed_at IS NULL AND queue = 'q'
    ORDER BY id DESC LIMIT 40
)
"""
ROWS_READ = "SELECT sum(seq_tup_read + idx_tup_fetch) FROM pg_stat_xact_user_tables"


VISIBLE = """
SELECT bool_and(relallvisible = relpages) FROM pg_class
WHERE oid IN ('duly.jobs'::regclass, 'duly.dead_letters'::regclass)
"""


def is_vacuumed(sql_now: psycopg.Connection) -> bool:
    """Vacuum, which marks no page while autovacuum looks at the table.

    Without INDEX_CLEANUP it would mark no page with rows of other tests, if those are few.
    """
    sql_now.execute("VACUUM (ANALYZE, INDEX_CLEANUP ON) duly.jobs, duly.dead_letters")
    return sql_now.execute(VISIBLE).fetchone() == (True,)


@pytest.mark.parametrize(
    ("rows", "find"),
    [
        *(
            (JOBS, lambda session, wanted=wanted: jobs.find_page(session, wanted))
            for wanted in (
                JobFilter(kind="none"),
                JobFilter(queue="none"),
                JobFilter(state="queued"),
                JobFilter(state="dead", kind="test.note"),
                JobFilter(subject="none"),
                JobFilter(since=datetime(2100, 1, 1, tzinfo=UTC)),
                JobFilter(until=datetime(1970, 1, 1, tzinfo=UTC)),
            )
        ),
        *(
            (LETTERS, lambda session, wanted=wanted: dead_letters.find_page(session, wanted))
            for wanted in (
                DeadLetterFilter(kind="none"),
                DeadLetterFilter(queue="none", open=False),
                DeadLetterFilter(error="none", open=None),
                DeadLetterFilter(since=datetime(2100, 1, 1, tzinfo=UTC)),
            )
        ),
    ],
)
def test_a_filter_that_matches_nothing_reads_a_bounded_number_of_rows(
    session: Session, sql_now: psycopg.Connection, rows: str, find: Callable[[Session], Any]
) -> None:
    sql_now.execute(rows, [MANY])
    wait_for("all rows are visible", lambda: is_vacuumed(sql_now))

    assert find(session).rows == []
    assert session.scalar(text(ROWS_READ)) <= pages.SCAN_LIMIT + 100


def test_a_list_by_creation_searches_no_older_jobs(
    session: Session, sql_now: psycopg.Connection
) -> None:
    sql_now.execute(JOBS, [MANY])
    sql_now.execute("UPDATE duly.jobs SET created_at = '2020-01-01'")
    today = JobFilter(since=datetime.now(UTC) - timedelta(hours=1))
    assert jobs.find_page(session, today) == pages.Page([], None)
    submitted = submit(session, note_kind("q")())
    session.commit()
    (found,) = jobs.find_page(session, today).rows
    assert found.id == submitted.id


@pytest.fixture
def _short_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "SCAN_LIMIT", 50)


@pytest.mark.usefixtures("_short_reach")
@pytest.mark.parametrize("limit", [1, 3, 7, 100])
def test_pages_hold_all_jobs_that_match_once_and_in_order(
    session: Session, sql_now: psycopg.Connection, limit: int
) -> None:
    sql_now.execute(JOBS, [310])
    rare = JobFilter(queue="rare")
    page = jobs.find_page(session, rare, limit=limit)
    found = list(page.rows)
    while page.after is not None:
        page = jobs.find_page(session, rare, limit=limit, before=page.after)
        assert len(page.rows) <= limit
        found += page.rows

    assert [job.id.int for job in found] == list(range(300, 0, -30))
    assert jobs.find(session, rare, limit=limit) == found[:limit]
    assert jobs.find(session, JobFilter(), limit=1)[0].id.int == 310


MIXED = """
UPDATE duly.jobs SET
    state = (ARRAY['queued', 'running', 'dead', 'cancelled', 'succeeded'])[1 + id_number % 5],
    run_at = now() + CASE WHEN id_number % 2 = 0 THEN interval '1 h' ELSE interval '-1 h' END,
    worker = 'w' || id_number % 3, subject = 's' || id_number % 4,
    batch_id = lpad(to_hex(id_number % 3), 32, '0')::uuid,
    parent_id = lpad(to_hex(id_number % 3), 32, '0')::uuid
FROM (SELECT id AS of, ('x' || right(id::text, 8))::bit(32)::int AS id_number FROM duly.jobs)
     AS numbered WHERE of = id
"""


@pytest.mark.usefixtures("_short_reach")
@pytest.mark.parametrize("few", [5, 10_000])
@pytest.mark.parametrize(
    ("wanted", "number"),
    [
        (JobFilter(state="queued"), lambda n: n % 5 == 0),
        (JobFilter(state="scheduled"), lambda n: n % 5 == 0 and n % 2 == 0),
        (JobFilter(state="running", queue="rare"), lambda n: n % 5 == 1 and n % 30 == 0),
        (JobFilter(state="running"), lambda n: n % 5 == 1),
        (JobFilter(state="dead"), lambda n: n % 5 == 2),
        (JobFilter(state="cancelled", subject="s1"), lambda n: n % 5 == 3 and n % 4 == 1),
        (JobFilter(subject="s2"), lambda n: n % 4 == 2),
        (JobFilter(subject="s2", state="dead"), lambda n: n % 4 == 2 and n % 5 == 2),
        (JobFilter(batch_id=UUID(int=1), state="dead"), lambda n: n % 3 == 1 and n % 5 == 2),
        (JobFilter(parent_id=UUID(int=2), queue="q"), lambda n: n % 3 == 2 and n % 30 > 0),
    ],
)
def test_pages_of_what_an_index_finds_hold_all_of_it_once_and_in_order(
    session: Session,
    sql_now: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    few: int,
    wanted: JobFilter,
    number: Callable[[int], bool],
) -> None:
    monkeypatch.setattr(pages, "FEW", few)
    sql_now.execute(JOBS, [310])
    sql_now.execute(MIXED)
    expected = [n for n in range(310, 0, -1) if number(n)]
    assert [job.id.int for job in jobs.find(session, wanted)] == expected[:50]
    page = jobs.find_page(session, wanted, limit=7)
    found = list(page.rows)
    while page.after is not None:
        page = jobs.find_page(session, wanted, limit=7, before=page.after)
        found += page.rows
    assert [job.id.int for job in found] == expected


def test_a_rare_state_is_found_on_the_first_page(
    session: Session, sql_now: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "SCAN_LIMIT", 50)
    sql_now.execute(JOBS, [310])
    for state, id_number in {"queued": 3, "running": 4, "dead": 5, "cancelled": 6}.items():
        asked = [state, UUID(int=id_number)]
        sql_now.execute("UPDATE duly.jobs SET state = %s WHERE id = %s", asked)
        page = jobs.find_page(session, JobFilter(state=state))
        assert ([job.id.int for job in page.rows], page.after) == ([id_number], None)


@pytest.mark.usefixtures("_short_reach")
@pytest.mark.parametrize("oldest_first", [False, True])
def test_pages_hold_all_letters_that_match_once_and_in_order(
    session: Session, sql_now: psycopg.Connection, *, oldest_first: bool
) -> None:
    sql_now.execute("TRUNCATE duly.dead_letters RESTART IDENTITY")
    sql_now.execute(LETTERS, [310])
    for wanted, ids in (
        (DeadLetterFilter(queue="rare", open=False), range(30, 311, 30)),
        (DeadLetterFilter(queue="rare"), []),
        (DeadLetterFilter(error="SUCH user", open=None), range(1, 311)),
        (DeadLetterFilter(ids=[7, 300], open=None), [7, 300]),
    ):
        expected = list(ids if oldest_first else reversed(ids))
        found = dead_letters.find(session, wanted, limit=1000, oldest_first=oldest_first)
        assert [letter.id for letter in found] == expected
        assert list(dead_letters.matching(session, wanted, oldest_first=oldest_first)) == expected


@pytest.mark.usefixtures("_short_reach")
def test_letters_that_others_close_meanwhile_move_no_page_past_others(
    session: Session, sql_now: psycopg.Connection
) -> None:
    sql_now.execute("TRUNCATE duly.dead_letters RESTART IDENTITY")
    sql_now.execute(LETTERS, [310])
    sql_now.execute("UPDATE duly.dead_letters SET closed_at = NULL")

    def close_some(*_: object) -> None:
        sql_now.execute(CLOSE_NEWEST)

    event.listen(session.connection(), "before_cursor_execute", close_some)
    found = dead_letters.find(session, DeadLetterFilter(queue="rare"), limit=100)
    assert [letter.id for letter in found] == list(range(300, 0, -30))
