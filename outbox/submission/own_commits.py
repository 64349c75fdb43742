"""Refuses a connection's own commit while jobs wait for the commit of its session.

`connection.commit()` passes the session by: the rows would be committed, and the jobs forgotten.
"""

import threading
from typing import Any
from weakref import WeakKeyDictionary, WeakSet, ref

import psycopg
from sqlalchemy import Connection, Engine, event

from outbox.postgres.transaction_items import TransactionItems
from outbox.submission.job_connection import REFUSAL, JobConnection
from outbox.submission.statement import Row

Jobs = TransactionItems[Row]
"""The jobs that wait."""

_waiting: WeakKeyDictionary[Connection, Jobs] = WeakKeyDictionary()
_listening: WeakSet[Engine] = WeakSet()
_lock = threading.Lock()


class GuardedCommit:
    """Takes the place of a psycopg connection's `commit`, and refuses it while jobs wait."""

    def __init__(self, driver: "psycopg.Connection[Any]") -> None:
        self._driver = ref(driver)  # a cycle would keep a forgotten connection open
        self.jobs = Jobs()

    def __call__(self) -> None:
        """Commit. Raises RuntimeError, and rolls back, while there are such jobs."""
        if driver := self._driver():
            if self.jobs:
                driver.rollback()
                raise RuntimeError(REFUSAL)
            type(driver).commit(driver)


def refuse_own_commits(connection: Connection, jobs: Jobs) -> None:
    """Have the connection's commit raise RuntimeError, and roll back, while there are such jobs.

    A JobConnection does so itself, and a psycopg connection is given a guard once. The engine of
    another driver is given one listener, once: any listener costs each statement of the engine a
    tenth of its time in SQLAlchemy.
    """
    driver = connection.connection.driver_connection
    if isinstance(driver, JobConnection):
        driver.waiting = jobs
    elif isinstance(driver, psycopg.Connection):
        _guard(driver).jobs = jobs
    else:
        _waiting[connection] = jobs
        _listen(connection.engine)


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
    if _waiting.get(connection):
        connection.connection.rollback()
        raise RuntimeError(REFUSAL)
