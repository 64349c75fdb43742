"""Migrating processes take turns, also through a pooler, which knows no lock of a session."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, text

NUMBER = 0x64756C79
"""The advisory lock's number ("duly" in ASCII)."""
PAUSE_SECONDS = 0.5


class MigrationError(Exception):
    """A migration cannot run here; nothing of it was done."""


class TurnTaken(MigrationError):
    """Another process has been migrating for as long as this one would wait."""


@contextmanager
def turn(engine: Engine, seconds: float, on_wait: Callable[[], None]) -> Iterator[None]:
    """Have the turn while inside. Raises TurnTaken after so many seconds.

    The lock is held by a transaction that stays open on a connection of its own, so that each
    migration may commit by itself. It goes when this process does. Calls `on_wait` where it waits.
    """
    with engine.connect() as connection:
        deadline, waits = time.monotonic() + seconds, False
        # Else a server with this limit would end the transaction in the midst of a migration.
        connection.execute(
            text("SELECT set_config('idle_in_transaction_session_timeout', '0', true)")
        )
        while not connection.scalar(text("SELECT pg_try_advisory_xact_lock(:n)"), {"n": NUMBER}):
            if time.monotonic() > deadline:
                raise TurnTaken(f"another process has been migrating for {seconds:.0f} s")
            if not waits:
                on_wait()
                waits = True
            time.sleep(PAUSE_SECONDS)
        yield
