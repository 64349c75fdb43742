"""Refuses a connection's own commit while jobs wait for the commit of its session.

`connection.commit()` passes the session by: the rows would be committed, and the jobs forgotten.
The same if the session was closed without a commit, in a transaction that is the connection's.
"""

import threading
from collections.abc import Sized
from typing import Any
from weakref import WeakKeyDictionary, WeakSet, ref

import psycopg
from sqlalchemy import Connection, Engine, event

from outbox.submission.job_connection import REFUSAL, JobConnection

Waiting = tuple[Sized, ...]
"""What waits on one connection, each session's by itself."""

_waiting: WeakKeyDictionary[Connection, Waiting] = WeakKeyDictionary()
_listening: WeakSet[Engine] = WeakSet()
_lock = threading.Lock()


class GuardedCommit:
    """Takes the place of a psycopg connection's `commit`, and refuses it while jobs wait."""

    def __init__(self, driver: "psycopg.Connection[Any]") -> None:
        self._driver = ref(driver)  # a cycle would keep a forgotten connection open
        self.waiting: Waiting = ()

    def __call__(self) -> None:
        """Commit. Raises RuntimeError, and rolls back, while there are such jobs."""
        if driver := self._driver():
            if any(self.waiting):
                driver.rollback()
                raise RuntimeError(REFUSAL)
            type(driver).commit(driver)


class LeftJobs:
    """Jobs of a closed session. They count while the connection's transaction goes on.

    A rollback ends that, and takes the rows of the session along.
    """

    def __init__(self, connection: Connection, count: int) -> None:
        transaction = connection.get_transaction()
        self._transaction = ref(transaction) if transaction else lambda: None
        self._count = count

    def __len__(self) -> int:
        transaction = self._transaction()
        return self._count if transaction and transaction.is_active else 0


def refuse_own_commits(connection: Connection, jobs: Sized) -> None:
    """Have the connection's commit raise RuntimeError, and roll back, while there are such jobs.

    A JobConnection does so itself, and a psycopg connection is given a guard once. The engine of
    another driver is given one listener, once: any listener costs each statement of the engine a
    tenth of its time in SQLAlchemy.
    """
    driver = connection.connection.driver_connection
    if isinstance(driver, JobConnection):
        driver.waiting = _with(jobs, driver.waiting)
    elif isinstance(driver, psycopg.Connection):
        guard = _guard(driver)
        guard.waiting = _with(jobs, guard.waiting)
    else:
        _waiting[connection] = _with(jobs, _waiting.get(connection, ()))
        _listen(connection.engine)


def _with(jobs: Sized, waiting: Waiting) -> Waiting:
    """These jobs, and those of other sessions that still wait."""
    return (jobs, *(each for each in waiting if each and each is not jobs))


def _guard(driver: "psycopg.Connection[Any]") -> GuardedCommit:
    attributes = vars(driver)
    guard = attributes.get("commit")
    if not isinstance(guard, GuardedCommit):
        guard = attributes["commit"] = GuardedCommit(driver)
    return guard


def _listen(engine: Engine) -> None:
    with _lock:
        if engine not in _listening:
            event.listen(engine, "commit", _refuse)
            _listening.add(engine)


def _refuse(connection: Connection) -> None:
    """Roll back before raising: SQLAlchemy takes a transaction whose commit raised as ended."""
    if any(_waiting.get(connection, ())):
        connection.connection.rollback()
        raise RuntimeError(REFUSAL)
