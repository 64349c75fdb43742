"""The migrations make what the models declare."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from typing import Any

import psycopg
from sqlalchemy import NullPool, create_engine, text

from migrations.run import upgrade
from outbox.postgres.address import sqlalchemy_url
from outbox.store.schema import SCHEMA, metadata
from service.subjects import TABLES

OURS = "relnamespace IN ('public'::regnamespace, 'duly'::regnamespace)"
DESCRIPTION = f"""
SELECT attrelid::regclass::text, attname, format_type(atttypid, atttypmod), attnotnull::text,
       attidentity::text || coalesce(pg_get_expr(adbin, adrelid), '')
FROM pg_attribute
JOIN pg_class ON pg_class.oid = attrelid
LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE {OURS} AND relkind = 'r' AND attnum > 0
UNION ALL
SELECT conrelid::regclass::text, conname, pg_get_constraintdef(pg_constraint.oid), '', ''
FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid
WHERE {OURS}
UNION ALL
SELECT indrelid::regclass::text, relname, pg_get_indexdef(indexrelid), '', ''
FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
WHERE {OURS}
UNION ALL
SELECT tgrelid::regclass::text, tgname, pg_get_triggerdef(pg_trigger.oid), prosrc, ''
FROM pg_trigger
JOIN pg_class ON pg_class.oid = tgrelid
JOIN pg_proc ON pg_proc.oid = tgfoid
WHERE {OURS} AND NOT tgisinternal
"""


start: Barrier


def described(database_url: str) -> set[tuple[Any, ...]]:
    """Every column, constraint, index and trigger of ours, as the database has it."""
    with psycopg.connect(database_url) as connection:
        connection.execute("SET search_path = pg_catalog")  # so that names come with their schema
        rows = connection.execute(DESCRIPTION.encode()).fetchall()
    return {row for row in rows if row[0] != "public.alembic_version"}


def test_the_migrated_database_has_what_the_models_declare(
    template: str, empty_database_url: str
) -> None:
    engine = create_engine(sqlalchemy_url(empty_database_url), poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))
        metadata.create_all(connection)
        TABLES.create_all(connection)
    assert described(template) == described(empty_database_url)


def test_four_that_migrate_at_once_take_turns(template: str, empty_database_url: str) -> None:
    spawn = get_context("spawn")
    with ProcessPoolExecutor(
        4, spawn, initializer=_line_up, initargs=(spawn.Barrier(4),)
    ) as processes:
        for done in [processes.submit(_migrate_together, empty_database_url) for _ in range(4)]:
            done.result(60)
    assert described(template) == described(empty_database_url)


def _line_up(barrier: Barrier) -> None:
    """In each process: where to wait for the others."""
    global start
    start = barrier


def _migrate_together(database_url: str) -> None:
    start.wait(60)
    upgrade(database_url)
