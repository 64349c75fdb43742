"""The transaction of a request. Its COMMIT continues if the request is cancelled."""

import asyncio
from types import TracebackType
from typing import Self

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

log = structlog.get_logger(__name__)

_detached: set["asyncio.Task[None]"] = set()
"""Commits of cancelled requests. Without a reference a task may be garbage-collected."""


class RequestTransaction:
    """A session that the end of the block closes, which rolls it back unless it was committed.

    A COMMIT under way is never cancelled: if it waits for a standby, cancelling ends the wait and
    commits on the primary alone. Until Postgres answers, the COMMIT keeps its connection, so there
    are never more of them than connections in the pool. It also keeps its locks, so a repeated
    request cannot run.
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
        """Commit and close the session. Cancelling this cancels neither.

        Raises what the session's commit raises. If the process dies, it is unknown whether the
        transaction commits.
        """
        self._commit = asyncio.create_task(self._commit_and_close())
        try:
            await asyncio.shield(self._commit)
        except asyncio.CancelledError:
            _detached.add(self._commit)
            self._commit.add_done_callback(_log_outcome)
            raise

    async def _commit_and_close(self) -> None:
        try:
            await self.session.commit()
        finally:
            await self.session.close()


def _log_outcome(commit: "asyncio.Task[None]") -> None:
    _detached.discard(commit)
    error = None if commit.cancelled() else commit.exception()
    outcome = "unknown" if commit.cancelled() or error else "committed"
    log.warning(
        "a commit ended after its request", outcome=outcome, error_type=type(error).__qualname__
    )
