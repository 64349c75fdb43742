"""What an actor knows of the job that it does, and the transaction that completes it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from outbox import steps
from outbox.replication import is_unreplicated
from outbox.result import storable
from outbox.submit import PARENT, SUBMITTED

_KEPT_OPEN: set[Connection] = set()
"""The connections that are inside of a `Job.transaction()`."""


class Superseded(Exception):
    """This worker no longer holds the job: it was replaced, and may finish nothing."""


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
    nudge: Callable[[], None] = field(repr=False)
    completed: bool = False
    is_committing: bool = False

    @contextmanager
    def transaction(self, result: Any = None) -> Iterator[Session]:
        """The one transaction of the effect, the job's completion and the jobs that follow.

        The job is `succeeded`, with `result` (any JSON value), when the block ends; what the actor
        returns afterwards is ignored. If the process dies before the commit, or the worker was
        replaced (then `Superseded` is raised), none of it happened. It raises `Unreplicated`, in an
        error of SQLAlchemy's, where all of it has committed without waiting for the standby.
        `commit()` is refused inside, of the session as of its connection.
        """
        if self.completed:
            raise RuntimeError("a job is completed once: put all effects into one transaction")
        try:
            with self.sessions() as session, session.begin():
                session.info[PARENT] = self
                with _kept_open(session.connection()):
                    yield session
                self._succeed(session, result)
                self.is_committing = True
        except DBAPIError as error:
            self.completed = is_unreplicated(error)
            raise
        finally:
            self.is_committing = False
        self.completed = True
        if session.info.get(SUBMITTED):
            self.nudge()

    def _succeed(self, session: Session, result: Any) -> None:
        session.flush()
        row = {
            "id": [self.id],
            "dispatch": [self.dispatch],
            "attempt": [self.attempt],
            "worker": self.worker,
            "result": [storable(result) or ""],  # no NULL in an array: see outbox/round_trip.py
        }
        if session.connection().exec_driver_sql(steps.SUCCEED, row).first() is None:
            raise Superseded(f"job {self.id} was taken from this worker")


def refuse_early_commits(engine: Engine) -> None:
    """Have `commit()` refused inside `Job.transaction()`, on any connection of this engine.

    It would keep the effect, and not the completion. There is one listener, which stays: one for
    each transaction would come and go in SQLAlchemy's registry while other threads use it.
    """

    def refuse(connection: Connection) -> None:
        if connection in _KEPT_OPEN:
            raise RuntimeError("job.transaction() commits by itself, when its block ends")

    event.listen(engine, "commit", refuse)


@contextmanager
def _kept_open(connection: Connection) -> Iterator[None]:
    _KEPT_OPEN.add(connection)
    try:
        yield
    finally:
        _KEPT_OPEN.discard(connection)
