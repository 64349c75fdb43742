"""What an actor sees of its job, and the transaction that completes it."""

import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
)
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from outbox.errors import Superseded
from outbox.job.blocks import Block
from outbox.job.cancellation import Cancellation, Shield
from outbox.job.commits import refusing_commit
from outbox.job.progress import Progress
from outbox.postgres.any_driver import execute
from outbox.postgres.replication import is_unreplicated
from outbox.store import transitions
from outbox.submission.submit import PARENT
from outbox.values import checkpoint as checkpoints
from outbox.values.result import storable

Write = Callable[[Session], None]
"""Writes what ends a transaction of the job, before its commit."""


class Claim(Protocol):
    """The row that CLAIM returns."""

    attempt: int
    attempt_limit: int
    attempt_budget: int
    subject: str | None
    batch_id: UUID | None
    payload: Mapping[str, Any]
    checkpoint: Any
    keys: Sequence[str] | None
    late_seconds: float
    """For how long the job is due."""
    dead_seconds: float | None
    """How long ago the job first died, if it was replayed."""
    trace: str | None
    attempt_trace: str | None


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
    checkpoint: Any = field(default=None, repr=False)
    """What the last `step` of this or of an earlier attempt has left, or None."""
    open_session: Callable[[], Session] | None = field(default=None, repr=False)
    """Makes sessions for a `def` actor."""
    open_async_session: Callable[[], AbstractAsyncContextManager[AsyncSession]] | None = field(
        default=None, repr=False
    )
    """Makes sessions for an `async def` actor."""
    on_completed: Callable[[], None] | None = field(default=None, repr=False)
    """Called once the job's transaction has committed."""
    batch_id: UUID | None = None
    """The batch that the job is a member of: see `add_to_batch`."""
    completed: bool = False
    is_committing: bool = False
    cancellation: Cancellation = field(default_factory=Cancellation, repr=False)
    reports: Progress = field(default_factory=Progress, repr=False)
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
            checkpoint=claim.checkpoint,
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

    @property
    def cancelled(self) -> bool:
        """Whether somebody asked to cancel the job, as known here about half a second later."""
        return self.cancellation.is_asked

    def progress(self, done: float, total: float | None = None, note: str | None = None) -> None:
        """Say how far the job is: `done` of `total`, and what it is doing, in a few words.

        Costs no I/O: the newest report is written about once a second, and once more with the
        job's end. It is shown to whoever may see the job, after a retry too until the next report.
        Raises ValueError for what is no progress (3 of 0, less than 0, NaN), and for a note over
        200 characters or with NUL in it.
        """
        self.reports.report(done, total, note)

    def shield(self) -> Shield:
        """A block in which a cancel does not interrupt the actor: it is interrupted at its end.

        `with job.shield()` in a `def` actor, `async with` in an `async def` one. The time limit
        holds inside of it.
        """
        return Shield(self.cancellation)

    def transaction(self) -> Block:
        """One transaction for the effect, the job's completion and the jobs that follow.

        `with job.transaction() as tx` in a `def` actor, `async with` in an `async def` one.

        When the block ends, the job is `succeeded` with the `result` that was set; to return one
        afterwards is an error, which is logged. None of it happens if the process dies before the
        commit, or if the worker was replaced, which raises `Superseded`. If all of it has
        committed, but without waiting for the standby, SQLAlchemy's error around `Unreplicated` is
        raised. Inside the block, `commit()` is refused on the session and on its connection.
        """
        return self._block(self._completion(), self._succeed, self._committed)

    def step(self, checkpoint: Any) -> Block:
        """One transaction for a part of the effect, the jobs that follow it, and a checkpoint.

        Entered as `transaction` is. When the block ends, its work is committed together with
        `checkpoint`, any JSON value, and the job goes on. If a later attempt has to start over, it
        finds the newest one in `job.checkpoint`. None of it happens if the process dies before the
        commit, or if the worker was replaced, which raises `Superseded`. A cancel does not
        interrupt the block. Raises ValueError, before anything is written, for a checkpoint that
        Postgres cannot store or that has over 64 KiB, and RuntimeError once the job is completed.
        """
        text = checkpoints.storable(checkpoint)
        kept = partial(self._keep_checkpoint, text)
        return self._block(self._stepping(), partial(self._write_checkpoint, text), kept)

    def sessions(self) -> Block:
        """A session for what comes before the transaction, entered like that."""
        return Block(
            self.open_session() if self.open_session else None,
            self.open_async_session() if self.open_async_session else None,
        )

    def _block(
        self, around: AbstractContextManager[None], write: Write, committed: Callable[[], None]
    ) -> Block:
        open_, open_async = self.open_session, self.open_async_session
        return Block(
            self._transaction(open_, around, write, committed) if open_ else None,
            self._async_transaction(open_async, around, write, committed) if open_async else None,
        )

    @contextmanager
    def _transaction(
        self,
        open_session: Callable[[], Session],
        around: AbstractContextManager[None],
        write: Write,
        committed: Callable[[], None],
    ) -> Iterator[Session]:
        with around, open_session() as session:
            with session.begin():
                session.info[PARENT] = self
                with refusing_commit(session.connection()):
                    yield session
                write(session)
                self._begin_commit()
            committed()

    @asynccontextmanager
    async def _async_transaction(
        self,
        open_session: Callable[[], AbstractAsyncContextManager[AsyncSession]],
        around: AbstractContextManager[None],
        write: Write,
        committed: Callable[[], None],
    ) -> AsyncIterator[AsyncSession]:
        with around:
            async with open_session() as session:
                async with session.begin():
                    session.info[PARENT] = self
                    connection = await session.connection()
                    with refusing_commit(connection.sync_connection):
                        yield session
                    await session.run_sync(write)
                    self._begin_commit()
                committed()

    @contextmanager
    def _completion(self) -> Iterator[None]:
        if self.completed:
            raise RuntimeError("a job completes once: put all its effects into one transaction")
        try:
            yield
        except DBAPIError as error:
            if is_unreplicated(error) and not self.completed:
                self._committed()
            raise
        finally:
            self._end_commit()

    @contextmanager
    def _stepping(self) -> Iterator[None]:
        if self.completed:
            raise RuntimeError("the job is completed: its steps come before its transaction")
        with self.shield():
            try:
                yield
            finally:
                self._end_commit()

    def _succeed(self, session: Session) -> None:
        session.flush()
        self._write_progress(session)
        row = {
            "id": [self.id],
            "dispatch": [self.dispatch],
            "attempt": [self.attempt],
            "worker": self.worker,
            # An empty text stands for NULL: see `array` in outbox/postgres/round_trip.py.
            "result": [storable(self._result) or ""],
        }
        self._write(session, self.success, row)

    def _write_progress(self, session: Session) -> None:
        """Write the last report, where it was not written yet."""
        if report := self.reports.take_last():
            row = {
                "id": [self.id],
                "dispatch": [self.dispatch],
                "attempt": [self.attempt],
                "worker": self.worker,
                "progress": [report],
            }
            execute(session.connection(), transitions.SAVE_PROGRESS, row)

    def _write_checkpoint(self, checkpoint: str, session: Session) -> None:
        session.flush()
        row = {
            "id": self.id,
            "dispatch": self.dispatch,
            "attempt": self.attempt,
            "worker": self.worker,
            "checkpoint": checkpoint,
        }
        self._write(session, transitions.STEP, row)

    def _write(self, session: Session, transition: str, row: dict[str, Any]) -> None:
        if execute(session.connection(), transition, row).first() is None:
            raise Superseded(f"job {self.id} was taken from this worker")

    def _begin_commit(self) -> None:
        self.cancellation.hold()
        self.is_committing = True

    def _end_commit(self) -> None:
        if self.is_committing:
            self.is_committing = False
            self.cancellation.release()

    def _committed(self) -> None:
        self.cancellation.end()
        self.completed = True
        if self.on_completed:
            self.on_completed()

    def _keep_checkpoint(self, checkpoint: str) -> None:
        self.checkpoint = json.loads(checkpoint)
