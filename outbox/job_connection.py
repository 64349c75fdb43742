"""A connection of psycopg whose COMMIT takes the transaction's jobs along."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, TypeVar

from psycopg import AsyncConnection, waiting
from psycopg.abc import PQGen

from outbox.commit import submit_and_commit
from outbox.replication import CommitWatch
from outbox.submission import Row, submission

LOOK_SECONDS = 0.1
"""How often psycopg looks for what it may have missed while it waits; its own default."""

T = TypeVar("T")


class JobConnection(AsyncConnection[Any]):
    """psycopg's, which also keeps jobs for its transaction until that is committed or rolled back.

    A commit that raises leaves no transaction open: SQLAlchemy takes one for ended whose commit has
    failed, and would not roll it back. One that is cancelled leaves no connection; Postgres goes on
    with it, and is not told to cancel, which would end its wait for a standby and commit.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._jobs: list[Row] = []
        self._watch = CommitWatch(self)
        self._is_committing = False

    def keep(self, jobs: Iterable[Row]) -> None:
        """Have these submitted with the commit."""
        self._jobs.extend(jobs)

    async def commit(self) -> None:
        """Commit, with the jobs that were kept: all or none, see `submit_and_commit`.

        Raises Unreplicated where all has committed, without waiting for the standby.
        """
        jobs, self._jobs = self._jobs, []
        self._is_committing = True
        try:
            with self._watch.commit():
                await self._commit(jobs)
        except Exception:
            with suppress(Exception):  # a lost connection has nothing to roll back
                await super().rollback()
            raise
        except BaseException:
            self.pgconn.finish()
            raise
        finally:
            self._is_committing = False

    async def rollback(self) -> None:
        """Roll back, and forget the jobs."""
        self._jobs = []
        await super().rollback()

    async def wait(self, gen: PQGen[T], *arguments: Any, **options: Any) -> T:
        """Wait as psycopg does, but do not have Postgres cancel a COMMIT."""
        if not self._is_committing:
            return await super().wait(gen, *arguments, **options)
        try:
            return await waiting.wait_async(gen, self.pgconn.socket, interval=LOOK_SECONDS)
        except (asyncio.CancelledError, KeyboardInterrupt):
            self.pgconn.finish()
            raise

    async def _commit(self, jobs: list[Row]) -> None:
        if jobs:
            await submit_and_commit(self, *submission(jobs))
        else:
            await super().commit()
