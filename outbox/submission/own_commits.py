"""Refuses a connection's own commit while jobs wait for the commit of its session.

`connection.commit()` passes the session by: the rows would be committed, and the jobs forgotten.
"""

import threading
from weakref import WeakKeyDictionary, WeakSet

from sqlalchemy import Connection, Engine, event

from outbox.postgres.transaction_items import TransactionItems
from outbox.submission.job_connection import REFUSAL, JobConnection
from outbox.submission.statement import Row

Jobs = TransactionItems[Row]
"""The jobs that wait."""

_waiting: WeakKeyDictionary[Connection, Jobs] = WeakKeyDictionary()
_listening: WeakSet[Engine] = WeakSet()
_lock = threading.Lock()


def refuse_own_commits(connection: Connection, jobs: Jobs) -> None:
    """Have the connection's commit raise RuntimeError, and roll back, while there are such jobs.

    A JobConnection does so itself. Other engines are given one listener each, once: any listener
    costs each statement of the engine a tenth of its time in SQLAlchemy.
    """
    driver = connection.connection.driver_connection
    if isinstance(driver, JobConnection):
        driver.waiting = jobs
        return
    _waiting[connection] = jobs
    with _lock:
        if connection.engine not in _listening:
            event.listen(connection.engine, "commit", _refuse)
            _listening.add(connection.engine)


def _refuse(connection: Connection) -> None:
    """Roll back before raising: SQLAlchemy takes a transaction whose commit raised as ended."""
    if _waiting.get(connection):
        connection.connection.rollback()
        raise RuntimeError(REFUSAL)
