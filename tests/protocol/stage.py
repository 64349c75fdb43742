"""Everybody's connections to one database."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.errors import LockNotAvailable
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from outbox.postgres.address import sqlalchemy_url
from outbox.store.schema import acts, metadata
from tests.protocol.facts import EFFECTS
from tests.support.engine.by_hand import ByHand

AS_THEY_LIE = "SET enable_indexscan = off; SET enable_bitmapscan = off"
"""From now on rows are read in the order in which they lie in their table."""
OPTIONS = "-c lock_timeout=10ms -c synchronous_commit=off"


class Stage:
    """Two relays and two actors, whose transactions may stay open, and a hand for all the rest.

    Who has to wait for a lock gives up soon: as all take turns, nobody would ever release it.
    """

    def __init__(self, database_url: str) -> None:
        self.database_url = database_url
        self._engine = create_engine(
            sqlalchemy_url(database_url), connect_args={"options": OPTIONS}
        )
        self.anyone, *others = (self._hand() for _ in range(5))
        self.relays, self.actors = others[:2], others[2:]
        self.anyone.take(EFFECTS)
        for table in metadata.tables:  # autovacuum must not lock a whole table, however briefly
            self.anyone.take(f"ALTER TABLE {table} SET (vacuum_truncate = off)")

    def clear(self) -> None:
        """Roll back what is open, and empty all tables."""
        self.roll_back()
        for table in ("effects", *metadata.tables.keys() - {str(acts)}):  # which is append-only
            self.anyone.take(f"DELETE FROM {table}")

    def roll_back(self) -> None:
        """All relays and actors die."""
        for hand in (*self.relays, *self.actors):
            hand.connection.rollback()

    def close(self) -> None:
        """Hang up."""
        for hand in (self.anyone, *self.relays, *self.actors):
            hand.connection.close()
        self._engine.dispose()

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A person's transaction, committed at the end."""
        with Session(self._engine) as session, session.begin():
            yield session

    def _hand(self) -> ByHand:
        return ByHand(psycopg.connect(self.database_url, autocommit=True, options=OPTIONS))


@contextmanager
def unless_locked() -> Iterator[None]:
    """What is inside does not happen where another's open transaction is in its way."""
    try:
        yield
    except (LockNotAvailable, OperationalError) as error:
        if not isinstance(getattr(error, "orig", error), LockNotAvailable):
            raise
