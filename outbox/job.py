"""What an actor sees of its job, and the transaction that completes it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from outbox.errors import Superseded
from outbox.postgres.replication import is_unreplicated
from outbox.store import transitions
from outbox.submission.pending import WAKE_UP
from outbox.submission.submit import PARENT
from outbox.values.result import storable

_NO_COMMIT: set[Connection] = set()
"""The connections that are inside a `Job.transaction()`."""


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
    sessions: Callable[[], Session] = field(repr=False)
    wake_up: Callable[[], None] = field(repr=False)
    completed: bool = False
    is_committing: bool = False

    @contextmanager
    def transaction(self, result: Any = None) -> Iterator[Session]:
        """One transaction for the effect, the job's completion and the jobs that follow.

        When the block ends, the job is `succeeded` with `result` (any JSON value); what the actor
        returns afterwards is ignored. None of it happens if the process dies before the commit, or
        if the worker was replaced, which raises `Superseded`. If all of it has committed, but
        without waiting for the standby, SQLAlchemy's error around `Unreplicated` is raised. Inside
        the block, `commit()` is refused on the session and on its connection.
        """
        if self.completed:
            raise RuntimeError("a job completes once: put all its effects into one transaction")
        try:
            with self.sessions() as session, session.begin():
                session.info[PARENT], session.info[WAKE_UP] = self, self.wake_up
                with _refusing_commit(session.connection()):
                    yield session
                self._succeed(session, result)
                self.is_committing = True
        except DBAPIError as error:
            self.completed = is_unreplicated(error)
            raise
        finally:
            self.is_committing = False
        self.completed = True

    def _succeed(self, session: Session, result: Any) -> None:
        session.flush()
        row = {
            "id": [self.id],
            "dispatch": [self.dispatch],
            "attempt": [self.attempt],
            "worker": self.worker,
            # An empty text stands for NULL: see `array` in outbox/postgres/round_trip.py.
            "result": [storable(result) or ""],
        }
        if session.connection().exec_driver_sql(transitions.SUCCEED, row).first() is None:
            raise Superseded(f"job {self.id} was taken from this worker")


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
def _refusing_commit(connection: Connection) -> Iterator[None]:
    _NO_COMMIT.add(connection)
    try:
        yield
    finally:
        _NO_COMMIT.discard(connection)
