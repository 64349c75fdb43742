"""A connection of psycopg whose COMMIT takes the transaction's jobs along."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from psycopg import AsyncConnection

from outbox.commit import submit_and_commit


def as_array(jobs: Iterable[bytes]) -> bytes:
    """What SUBMIT takes: one JSON array of the jobs, which are JSON each."""
    return b"[" + b",".join(jobs) + b"]"


class JobConnection(AsyncConnection[Any]):
    """psycopg's, which also keeps jobs for its transaction until that is committed or rolled back.

    A commit that raises leaves no transaction open: SQLAlchemy takes one for ended whose commit has
    failed, and would not roll it back.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._jobs: list[bytes] = []

    def keep(self, jobs: Iterable[bytes]) -> None:
        """Have these submitted with the commit; each is JSON."""
        self._jobs.extend(jobs)

    async def commit(self) -> None:
        """Commit, with the jobs that were kept: all or none, see `submit_and_commit`."""
        if not self._jobs:
            return await super().commit()
        try:
            await submit_and_commit(self, as_array(self._jobs))
        except Exception:
            with suppress(Exception):  # a lost connection has nothing to roll back
                await super().rollback()
            raise
        finally:
            self._jobs.clear()

    async def rollback(self) -> None:
        """Roll back, and forget the jobs."""
        self._jobs.clear()
        await super().rollback()
