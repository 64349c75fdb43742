"""The database from nothing, and back."""

import psycopg

from migrations.run import downgrade, upgrade

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
