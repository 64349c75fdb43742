"""A trigger that has Postgres refuse rows, with the SQLSTATE that a test wants."""

import psycopg

DATA, CONSTRAINT, PRIVILEGE = "22P05", "23514", "42501"


class Refusing:
    """Refuses rows of tables until the test ends, or until it is told to take them."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection

    def refuse(self, table: str, condition: str, sqlstate: str = CONSTRAINT) -> None:
        """Refuse what is written to the table where the condition, of `new`, is true."""
        self._connection.execute(
            f"""
            CREATE FUNCTION refuse_{table}() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION 'not that' USING ERRCODE = '{sqlstate}'; END $$;
            CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON duly.{table}
            FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION refuse_{table}()
            """.encode()
        )

    def take(self) -> None:
        """Refuse nothing any more."""
        others = ("attempts", "dead_letters", "outbox_events", "publications", "batches")
        for table in ("jobs", *others):
            self._connection.execute(f"DROP FUNCTION IF EXISTS refuse_{table} CASCADE".encode())
