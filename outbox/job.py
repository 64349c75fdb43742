"""What an actor sees of its job, and the transaction that completes it."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
)
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from outbox.errors import Superseded
from outbox.postgres.any_driver import execute
from outbox.postgres.replication import is_unreplicated
from outbox.store import transitions
from outbox.submission.submit import PARENT
from outbox.values.result import storable

_NO_COMMIT: set[Connection] = set()
"""The connections that are inside a `Job.transaction()`."""


class Block:
    """Entered by `with` in a `def` actor, and by `async with` in an `async def` one.

    They yield a Session and an AsyncSession. The wrong one raises RuntimeError at once.
    """

    def __init__(
        self,
        blocking: AbstractContextManager[Session] | None,
        awaiting: AbstractAsyncContextManager[AsyncSession] | None,
    ) -> None:
        self._blocking = blocking
        self._awaiting = awaiting

    def __enter__(self) -> Session:
        if self._blocking is None:
            raise RuntimeError("an `async def` actor enters this by `async with`")
        return self._blocking.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._blocking is not None:
            self._blocking.__exit__(kind, error, trace)

    async def __aenter__(self) -> AsyncSession:
        if self._awaiting is None:
            raise RuntimeError("a `def` actor enters this by `with`")
        return await self._awaiting.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._awaiting is not None:
            await self._awaiting.__aexit__(kind, error, trace)


class Claim(Protocol):
    """The row that CLAIM returns."""

    attempt: int
    attempt_limit: int
    attempt_budget: int
    subject: str | None
    batch_id: UUID | None
    payload: Mapping[str, Any]


@dataclass(slots=True)
class Job:
    """The running job, as its actor sees it.

    `id` is the idempotency key for effects outside Postgres: it is the same in every attempt.
    """

    id: UUID
    kind: str
    dispatch: int
    attempt: int
    attempt_limit: int
    worker: str
    subject: str | None
    open_session: Callable[[], Session] | None = field(default=None, repr=False)
    """Makes sessions for a `def` actor."""
    open_async_session: Callable[[], AbstractAsyncContextManager[AsyncSession]] | None = field(
        default=None, repr=False
    )
    """Makes sessions for an `async def` actor."""
    batch_id: UUID | None = None
    """The batch that the job is a member of: see `add_to_batch`."""
    completed: bool = False
    is_committing: bool = False
    _result: Any = field(default=None, repr=False)

    @classmethod
    def claimed(cls, id_: UUID, dispatch: int, kind: str, claim: Claim, worker: str) -> "Job":
        """The job that this worker has claimed, still without sessions."""
        return cls(
            id=id_,
            kind=kind,
            dispatch=dispatch,
            attempt=claim.attempt,
            attempt_limit=claim.attempt_limit,
            worker=worker,
            subject=claim.subject,
            batch_id=claim.batch_id,
        )

    @property
    def success(self) -> str:
        """The transition that records its success."""
        return transitions.SUCCEED_MEMBER if self.batch_id else transitions.SUCCEED

    @property
    def result(self) -> Any:
        """The job's result, any JSON value. Set it before the job is completed.

        What the actor returns without a transaction takes its place. Raises RuntimeError if set too
        late.
        """
        return self._result

    @result.setter
    def result(self, result: Any) -> None:
        if self.completed:
            raise RuntimeError("the job is completed: set its result inside the transaction")
        self._result = result

    def transaction(self) -> Block:
        """One transaction for the effect, the job's completion and the jobs that follow.

        `with job.transaction() as tx` in a `def` actor, `async with` in an `async def` one.

        When the block ends, the job is `succeeded` with the `result` that was set; to return one
        afterwards is an error, which is logged. None of it happens if the process dies before the
        commit, or if the worker was replaced, which raises `Superseded`. If all of it has
        committed, but without waiting for the standby, SQLAlchemy's error around `Unreplicated` is
        raised. Inside the block, `commit()` is refused on the session and on its connection.
        """
        return Block(
            self._transaction(self.open_session) if self.open_session else None,
            self._async_transaction(self.open_async_session) if self.open_async_session else None,
        )

    def sessions(self) -> Block:
        """A session for what comes before the transaction, entered like that."""
        return Block(
            self.open_session() if self.open_session else None,
            self.open_async_session() if self.open_async_session else None,
        )

    @contextmanager
    def _transaction(self, open_session: Callable[[], Session]) -> Iterator[Session]:
        with self._completion(), open_session() as session:
            with session.begin():
                session.info[PARENT] = self
                with _refusing_commit(session.connection()):
                    yield session
                self._succeed(session)
            self._committed()

    @asynccontextmanager
    async def _async_transaction(
        self, open_session: Callable[[], AbstractAsyncContextManager[AsyncSession]]
    ) -> AsyncIterator[AsyncSession]:
        with self._completion():
            async with open_session() as session:
                async with session.begin():
                    session.info[PARENT] = self
                    connection = await session.connection()
                    with _refusing_commit(connection.sync_connection):
                        yield session
                    await session.run_sync(self._succeed)
                self._committed()

    @contextmanager
    def _completion(self) -> Iterator[None]:
        if self.completed:
            raise RuntimeError("a job completes once: put all its effects into one transaction")
        try:
            yield
        except DBAPIError as error:
            self.completed = self.completed or is_unreplicated(error)
            raise
        finally:
            self.is_committing = False

    def _succeed(self, session: Session) -> None:
        session.flush()
        row = {
            "id": [self.id],
            "dispatch": [self.dispatch],
            "attempt": [self.attempt],
            "worker": self.worker,
            # An empty text stands for NULL: see `array` in outbox/postgres/round_trip.py.
            "result": [storable(self._result) or ""],
        }
        if execute(session.connection(), self.success, row).first() is None:
            raise Superseded(f"job {self.id} was taken from this worker")
        self.is_committing = True

    def _committed(self) -> None:
        self.is_committing = False
        self.completed = True


def refuse_early_commits(engine: Engine) -> None:
    """Refuse `commit()` inside `Job.transaction()`, on any connection of this engine.

    Such a commit would keep the effect without the completion. There is one permanent listener: one
    per transaction would change SQLAlchemy's registry while other threads use it.
    """

    def refuse(connection: Connection) -> None:
        if connection in _NO_COMMIT:
            raise RuntimeError("job.transaction() commits by itself when its block ends")

    event.listen(engine, "commit", refuse)


@contextmanager
def _refusing_commit(connection: Connection | None) -> Iterator[None]:
    if connection is None:  # only where SQLAlchemy's types allow it
        raise RuntimeError("the session has no connection")
    _NO_COMMIT.add(connection)
    try:
        yield
    finally:
        _NO_COMMIT.discard(connection)
