"""Sessions whose jobs travel with their COMMIT, so that a job costs no round trip of its own.

SQLAlchemy commits as ever, by whichever of its ways; SUBMIT and COMMIT go out in that moment.
"""

import json
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, TwoPhaseTransaction, event
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.orm import Session, SessionTransaction, sessionmaker

from outbox import steps
from outbox.commit import submit_and_commit

Rows = Sequence[dict[str, Any]]
WAITING = "duly_jobs_wait"
"""Execution option of an engine whose jobs wait for the commit."""

CONNECTION = "duly.connection"
"""In `Session.info`: the connection of its last transaction, if jobs wait there for the commit."""

_waiting: "WeakKeyDictionary[Connection, list[str]]" = WeakKeyDictionary()
"""What is to be submitted with the commit, each job as JSON."""


def job_sessions(engine: AsyncEngine, **options: Any) -> async_sessionmaker[AsyncSession]:
    """Makes AsyncSessions in which `submit` sends nothing before the commit; `options` are theirs.

    The jobs go out with the COMMIT, in the same round trip, whoever commits: the session, its
    `begin()` block or its connection. Once that has returned, rows and jobs have committed. If it
    raises, with the errors that SQLAlchemy has for its statements, neither have, but where the
    connection broke or the task was cancelled: then all have or none. So it is if the process dies.
    What is rolled back before leaves no job. Until the commit no statement of the transaction sees
    them. Savepoints, commits and rollbacks are SQLAlchemy's: written as SQL they go past this.

    Inside of a savepoint jobs are written at once, so that they go when it is rolled back; so they
    are where each statement commits by itself. Other sessions of the same engine write as ever.
    """
    own = engine.execution_options(**{WAITING: True})
    event.listen(own.sync_engine, "commit", _send_with_commit)
    event.listen(own.sync_engine, "rollback", _forget)
    made_by = options.pop("sync_session_class", None)
    noting = _noting(made_by or options.get("class_", AsyncSession).sync_session_class)
    return async_sessionmaker(own, sync_session_class=noting, **options)


def write(connection: Connection, rows: Rows) -> None:
    """Take SUBMIT for these jobs, now or with the connection's commit."""
    jobs = [json.dumps(row) for row in rows]
    if _may_wait(connection):
        _waiting.setdefault(connection, []).extend(jobs)
    else:
        connection.exec_driver_sql(steps.SUBMIT, {"jobs": _array(jobs)})


def needs_no_io(session: Session) -> bool:
    """Whether the session has begun a transaction in which `write` would keep jobs in memory."""
    connection: Connection | None = session.info.get(CONNECTION)
    return (
        connection is not None
        and not connection.closed
        and session.get_bind() is connection.engine  # which may be another for each statement
        and connection.in_transaction()
        and not session.in_nested_transaction()  # of which the connection may not know yet
        and _may_wait(connection)
    )


def _noting(made_by: "type[Session] | sessionmaker[Session]") -> "sessionmaker[Session]":
    """Makes the same sessions, which note their connections; so do all of a sessionmaker given."""
    own = sessionmaker(class_=made_by) if isinstance(made_by, type) else made_by
    event.listen(own, "after_begin", _note)
    return own


def _note(session: Session, _transaction: SessionTransaction, connection: Connection) -> None:
    if connection.get_execution_options().get(WAITING):
        session.info[CONNECTION] = connection


def _may_wait(connection: Connection) -> bool:
    return (
        connection.get_execution_options().get(WAITING, False)
        and not connection.in_nested_transaction()
        and not isinstance(connection.get_transaction(), TwoPhaseTransaction)
        and not _commits_by_itself(connection)
    )


def _commits_by_itself(connection: Connection) -> bool:
    driver: Any = connection.connection.driver_connection
    return bool(driver.autocommit)


def _array(jobs: Sequence[str]) -> str:
    return f"[{','.join(jobs)}]"


def _forget(connection: Connection) -> None:
    _waiting.pop(connection, None)


def _send_with_commit(connection: Connection) -> None:
    """After this SQLAlchemy's own commit finds no transaction, and sends nothing."""
    if jobs := _waiting.pop(connection, None):
        driver: Any = connection.connection.dbapi_connection
        try:
            driver.run_async(partial(submit_and_commit, jobs=_array(jobs)))
        except BaseException as error:  # noqa: BLE001 - raised again, as around SQLAlchemy's commit
            _raise(connection, error)


def _raise(connection: Connection, error: BaseException) -> None:
    driver: Any = connection.connection.driver_connection
    if isinstance(error, Exception):
        _end_transaction(connection)
    try:
        connection._handle_dbapi_exception(error, None, None, None, None)  # noqa: SLF001
    finally:
        if driver.closed and not connection.invalidated:
            connection.invalidate()  # it looks for lost connections in errors of Postgres alone


def _end_transaction(connection: Connection) -> None:
    """SQLAlchemy takes it for ended, as a COMMIT that fails ends it: it would not roll back."""
    with suppress(Exception):  # a lost connection has nothing to end, and will be told as lost
        connection.dialect.do_rollback(connection.connection)
