"""A connection of psycopg whose COMMIT takes the transaction's jobs along."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from psycopg import AsyncConnection

from outbox.commit import submit_and_commit
from outbox.submission import Row, submission


class JobConnection(AsyncConnection[Any]):
    """psycopg's, which also keeps jobs for its transaction until that is committed or rolled back.

    A commit that raises leaves no transaction open: SQLAlchemy takes one for ended whose commit has
    failed, and would not roll it back. One that is cancelled leaves no connection.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._jobs: list[Row] = []

    def keep(self, jobs: Iterable[Row]) -> None:
        """Have these submitted with the commit."""
        self._jobs.extend(jobs)

    async def commit(self) -> None:
        """Commit, with the jobs that were kept: all or none, see `submit_and_commit`."""
        jobs, self._jobs = self._jobs, []
        if not jobs:
            return await super().commit()
        try:
            await submit_and_commit(self, *submission(jobs))
        except Exception:
            with suppress(Exception):  # a lost connection has nothing to roll back
                await super().rollback()
            raise
        except BaseException:
            self.pgconn.finish()
            raise

    async def rollback(self) -> None:
        """Roll back, and forget the jobs."""
        self._jobs = []
        await super().rollback()
