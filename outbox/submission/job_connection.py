"""A psycopg connection that sends the transaction's jobs with its COMMIT."""

import asyncio
from collections.abc import Iterable, Sized
from contextlib import suppress
from typing import Any, TypeVar

from psycopg import AsyncConnection, waiting
from psycopg.abc import PQGen

from outbox.postgres.replication import CommitWatch
from outbox.submission.commit import submit_and_commit
from outbox.submission.statement import Row, submission

POLL_SECONDS = 0.1
"""How often psycopg polls for a missed event while it waits for the socket; its own default."""

REFUSAL = (
    "jobs wait for their session's commit: call session.commit() before it is closed, and before "
    "its connection's commit()"
)

T = TypeVar("T")


class JobConnection(AsyncConnection[Any]):
    """A psycopg connection that buffers jobs until its transaction is committed or rolled back.

    A commit that raises leaves no transaction open: SQLAlchemy takes a transaction whose commit
    failed as ended, and would not roll it back. A commit that is cancelled closes the connection,
    and Postgres goes on with it. No cancel request is sent: it would end the wait for a standby,
    and the transaction would commit without one.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._jobs: list[Row] = []
        self._watch = CommitWatch(self)
        self._is_committing = False
        self.waiting: tuple[Sized, ...] = ()
        """What waits for a session's commit. While there is any, `commit` is refused."""

    def buffer(self, jobs: Iterable[Row]) -> None:
        """Submit these jobs with the commit."""
        self._jobs.extend(jobs)

    async def commit(self) -> None:
        """Commit with the buffered jobs: all or nothing, see `submit_and_commit`.

        Raises Unreplicated if everything was committed, but without waiting for the standby, and
        RuntimeError while jobs wait for their session.
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
        """Roll back, and drop the buffered jobs."""
        self._jobs = []
        await super().rollback()

    async def wait(self, gen: PQGen[T], *arguments: Any, **options: Any) -> T:
        """Wait as psycopg does, but never ask Postgres to cancel a COMMIT."""
        if not self._is_committing:
            return await super().wait(gen, *arguments, **options)
        try:
            return await waiting.wait_async(gen, self.pgconn.socket, interval=POLL_SECONDS)
        except (asyncio.CancelledError, KeyboardInterrupt):
            self.pgconn.finish()
            raise

    async def _commit(self, jobs: list[Row]) -> None:
        if any(self.waiting):
            raise RuntimeError(REFUSAL)
        if jobs:
            await submit_and_commit(self, submission(jobs))
        else:
            await super().commit()
