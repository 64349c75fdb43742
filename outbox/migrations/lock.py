"""Makes migrating processes take turns: a lock that also works through a pooler."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, text

NUMBER = 0x64756C79
"""The advisory lock's number ("duly" in ASCII)."""
POLL_SECONDS = 0.5


class MigrationError(Exception):
    """A migration cannot run on this database. Migrations completed before it stay."""


class LockTimeout(MigrationError):
    """Another process held the lock for as long as this one was willing to wait."""


@contextmanager
def migration_lock(engine: Engine, seconds: float, on_wait: Callable[[], None]) -> Iterator[None]:
    """Hold the lock inside the block. Raises LockTimeout after `seconds`.

    A pooler may give each transaction another session, so the lock belongs to a transaction. That
    one stays open on its own connection, so each migration can commit by itself. If this process
    dies, Postgres releases the lock. `on_wait` is called once, if another process has the lock.
    """
    with engine.connect() as connection:
        deadline, waits = time.monotonic() + seconds, False
        while not connection.scalar(text("SELECT pg_try_advisory_xact_lock(:n)"), {"n": NUMBER}):
            # A build of an index waits for the end of each transaction that has a snapshot, and
            # whoever builds it has the lock.
            connection.rollback()
            if time.monotonic() > deadline:
                raise LockTimeout(f"another process has been migrating for {seconds:.0f} s")
            if not waits:
                on_wait()
                waits = True
            # An open transaction may have a snapshot, for which a build of an index would wait.
            connection.rollback()
            time.sleep(POLL_SECONDS)
        # A server with this limit would end the transaction, and the lock, during a migration. And
        # a statement without parameters ends the snapshot of the one before, for which a build of
        # an index would wait.
        connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
        yield
