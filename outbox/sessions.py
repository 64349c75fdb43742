"""Sessions whose jobs travel with their COMMIT, so that a job costs no round trip of its own.

SQLAlchemy commits as ever, by whichever of its ways; the connection sends SUBMIT along.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Dialect, TwoPhaseTransaction, event
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.orm import Session, SessionTransaction, sessionmaker

from outbox.database import roll_back_leftovers
from outbox.job_connection import JobConnection
from outbox.submission import Row, submission

WAITING = "duly_jobs_wait"
"""Execution option of an engine whose jobs wait for the commit."""

CONNECTION = "duly.connection"
"""In `Session.info`: the connection of its last transaction, if jobs wait there for the commit."""


def job_sessions(engine: AsyncEngine, **options: Any) -> async_sessionmaker[AsyncSession]:
    """Makes AsyncSessions in which `submit` sends nothing before the commit; `options` are theirs.

    The jobs go out with the COMMIT, in the same round trip, whoever commits: the session, its
    `begin()` block or its connection. Once that has returned, rows and jobs have committed. If it
    raises, with the errors that SQLAlchemy has for its statements, neither have, but where the
    connection broke or the task was cancelled: then all have or none. So it is if the process dies.
    Where the error's `orig` is `Unreplicated`, all have, without waiting for the standby.
    What is rolled back before leaves no job. Until the commit no statement of the transaction sees
    them. Savepoints, commits and rollbacks are SQLAlchemy's: written as SQL they go past this.

    The engine opens its connections as `JobConnection` from now on. On older ones and on those of
    an `async_creator` jobs are written at once. So they are inside of a savepoint, that they may go
    with it, and where each statement commits by itself. Other sessions of the engine write as ever.
    """
    own = engine.execution_options(**{WAITING: True})
    event.listen(engine.sync_engine, "do_connect", _to_job_connection)
    roll_back_leftovers(engine.sync_engine)
    made_by = options.pop("sync_session_class", None)
    noting = _noting(made_by or options.get("class_", AsyncSession).sync_session_class)
    return async_sessionmaker(own, sync_session_class=noting, **options)


def keep(session: Session, rows: Sequence[Row]) -> bool:
    """Keep these jobs for the commit; False where that may need I/O, and `write` has to do it."""
    connection: Connection | None = session.info.get(CONNECTION)
    keeper = _keeper(connection) if connection and _is_current(session, connection) else None
    if keeper:
        keeper.keep(rows)
    return keeper is not None


def write(session: Session, rows: Sequence[Row]) -> None:
    """Submit these jobs, now or with the commit."""
    connection = session.connection()
    if not connection.in_transaction():  # the handler has committed it, past the session
        connection.begin()
    if keeper := _keeper(connection):
        keeper.keep(rows)
    else:
        connection.exec_driver_sql(*submission(rows))


def _is_current(session: Session, connection: Connection) -> bool:
    """Whether it is what the session's next statement goes to, in a transaction that has begun."""
    return (
        session.is_active  # in the midst of a commit, `write` has SQLAlchemy refuse it
        and not connection.closed
        and session.get_bind() is connection.engine  # which may be another for each statement
        and connection.in_transaction()
        and not session.in_nested_transaction()  # of which the connection may not know yet
    )


def _to_job_connection(
    _dialect: Dialect, _record: Any, _args: Any, options: dict[str, Any]
) -> None:
    """As `create_async_engine(async_creator=...)` has it done, but with the URL's parameters."""
    options.setdefault("async_creator_fn", JobConnection.connect)


def _noting(made_by: "type[Session] | sessionmaker[Session]") -> "sessionmaker[Session]":
    """Makes the same sessions, which note their connections; so do all of a sessionmaker given."""
    own = sessionmaker(class_=made_by) if isinstance(made_by, type) else made_by
    event.listen(own, "after_begin", _note)
    return own


def _note(session: Session, _transaction: SessionTransaction, connection: Connection) -> None:
    if connection.get_execution_options().get(WAITING):
        session.info[CONNECTION] = connection


def _keeper(connection: Connection) -> JobConnection | None:
    """What keeps the transaction's jobs until the commit, where they may wait for it."""
    driver = connection.connection.driver_connection
    may_wait = (
        connection.get_execution_options().get(WAITING, False)
        and isinstance(driver, JobConnection)
        and not driver.autocommit
        and not connection.in_nested_transaction()
        and not isinstance(connection.get_transaction(), TwoPhaseTransaction)
    )
    return driver if may_wait else None
