"""The transaction of a request, whose commit goes on when the request is given up."""

import asyncio
from types import TracebackType
from typing import Self

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

log = structlog.get_logger(__name__)

_unanswered: set["asyncio.Task[None]"] = set()
"""Commits whose requests were given up: a task that nobody refers to may be collected."""


class RequestTransaction:
    """A session that is closed at the end of the block, and so rolled back unless committed.

    A COMMIT under way is never cancelled: while it waits for a standby, that would end the wait and
    commit. Until Postgres answers it keeps its connection, so that there are never more of them
    than the pool has connections, and its locks, so that a repeated request waits for it.
    """

    def __init__(self, session: AsyncSession) -> None:
        self.session = session
        self._commit: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: object, _where: TracebackType | None
    ) -> None:
        if self._commit is None:
            await asyncio.shield(asyncio.create_task(self.session.close()))

    async def commit(self) -> None:
        """Commit and close the session. If it is cancelled, both are done all the same.

        Raises what the session's commit raises. If the process dies, Postgres decides alone.
        """
        self._commit = asyncio.create_task(self._commit_and_close())
        try:
            await asyncio.shield(self._commit)
        except asyncio.CancelledError:
            _unanswered.add(self._commit)
            self._commit.add_done_callback(_tell)
            raise

    async def _commit_and_close(self) -> None:
        try:
            await self.session.commit()
        finally:
            await self.session.close()


def _tell(commit: "asyncio.Task[None]") -> None:
    _unanswered.discard(commit)
    error = None if commit.cancelled() else commit.exception()
    outcome = "unknown" if commit.cancelled() or error else "committed"
    log.warning("a commit outlived its request", outcome=outcome, error=type(error).__name__)
