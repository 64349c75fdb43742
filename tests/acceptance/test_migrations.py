"""The database from nothing, and back."""

import uuid

import psycopg

from migrations.run import downgrade, upgrade
from outbox.migrations import LATEST
from outbox.migrations import run as library

LEFT = """
SELECT relname FROM pg_class JOIN pg_namespace AS space ON space.oid = relnamespace
WHERE nspname NOT LIKE 'pg_%' AND nspname <> 'information_schema' AND relname !~ '^alembic_version'
UNION ALL
SELECT nspname FROM pg_namespace WHERE nspname = 'duly'
"""


def test_the_way_back_leaves_nothing(empty_database_url: str) -> None:
    with psycopg.connect(empty_database_url, autocommit=True) as database:
        upgrade(empty_database_url)
        assert ("jobs",) in database.execute(LEFT).fetchall()
        downgrade(empty_database_url, "base")
        assert database.execute(LEFT).fetchall() == []
        upgrade(empty_database_url)


KEY = "('0123456789ab', 'shop', '\\x00', '{submit}')"
OLD_KEEP_ANSWER = """
WITH expired AS (
    SELECT caller, key FROM public.idempotency_keys
    WHERE expires_at <= now() AND (caller, key) <> ('shop', 'second')
    ORDER BY expires_at LIMIT 2
    FOR UPDATE SKIP LOCKED
), pruned AS (
    DELETE FROM public.idempotency_keys AS old USING expired
    WHERE old.caller = expired.caller AND old.key = expired.key
)
INSERT INTO public.idempotency_keys AS stored
    (caller, key, fingerprint, status, headers, body, expires_at)
VALUES ('shop', 'second', '', 202, '{}', '', now() + interval '1 day')
ON CONFLICT (caller, key) DO UPDATE SET status = excluded.status
WHERE stored.expires_at <= now()
RETURNING key
"""
"""As a process of the release before 0009 stores an answer."""
JOBS = """
INSERT INTO duly.jobs
    (id, kind, queue, priority, payload, state, run_at, attempt_limit, attempt_budget)
SELECT gen_random_uuid(), 'email.send', 'email', 1, '{}', state, run_at, 8, 8
FROM (VALUES ('queued', now()), ('queued', now() + interval '1 day'), ('running', now()),
             ('dead', now())) AS was (state, run_at)
"""
KEPT = """
SELECT id, kind, queue, priority, payload, state, dispatch, attempt, run_at, attempt_limit, replays
FROM duly.jobs ORDER BY id
"""


def test_a_database_of_the_release_before_the_library_had_versions_goes_on(
    empty_database_url: str,
) -> None:
    role = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(empty_database_url, autocommit=True) as database:
        upgrade(empty_database_url, "0008")
        database.execute("DROP TABLE duly.migrations")  # which that release did not have
        columns = "(prefix, name, secret_hash, scopes)"
        database.execute(f"INSERT INTO public.api_keys {columns} VALUES {KEY}")
        database.execute(JOBS)
        database.execute(
            "INSERT INTO public.idempotency_keys"
            " VALUES ('shop', 'first', '', 202, '{}', '', now() - interval '1 day')"
        )
        database.execute(f"CREATE ROLE {role}")
        database.execute(
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON public.idempotency_keys TO {role}"
        )
        before = database.execute("SELECT * FROM duly.jobs ORDER BY id")
        columns = ", ".join(column.name for column in before.description or ())
        jobs = f"SELECT {columns} FROM duly.jobs ORDER BY id".encode()
        try:
            upgrade(empty_database_url)
            version = database.execute("SELECT max(version) FROM duly.migrations").fetchone()
            assert version == (LATEST,)
            assert database.execute(jobs).fetchall() == before.fetchall()
            assert database.execute("SELECT name FROM duly.api_keys").fetchall() == [("shop",)]
            database.execute(f"SET ROLE {role}")
            assert database.execute(OLD_KEEP_ANSWER).fetchall() == [("second",)]
            database.execute("RESET ROLE")
            kept = database.execute("SELECT key FROM duly.idempotency_keys").fetchall()
            assert kept == [("second",)]
            assert database.execute("SELECT name FROM public.api_keys").fetchall() == [("shop",)]
        finally:
            database.execute(f"RESET ROLE; DROP OWNED BY {role}; DROP ROLE {role}")


def test_an_upgrade_that_died_half_way_keeps_what_was_written_meanwhile(
    empty_database_url: str,
) -> None:
    """The library's tables were there already, and a process of the new release wrote to them."""
    with psycopg.connect(empty_database_url, autocommit=True) as database:
        upgrade(empty_database_url, "0008")
        columns = "(prefix, name, secret_hash, scopes)"
        database.execute(f"INSERT INTO public.api_keys {columns} VALUES {KEY}")
        library.upgrade(empty_database_url)
        newer = KEY.replace("0123456789ab", "ba9876543210").replace("shop", "ops")
        database.execute(f"INSERT INTO duly.api_keys {columns} VALUES {newer}")
        upgrade(empty_database_url)
        names = database.execute("SELECT name FROM duly.api_keys ORDER BY name").fetchall()
        assert names == [("ops",), ("shop",)]
