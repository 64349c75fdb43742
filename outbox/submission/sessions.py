"""Sessions that send their jobs with the COMMIT, so that a job costs no round trip of its own.

SQLAlchemy commits in any of its usual ways; the connection sends SUBMIT along.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Dialect, TwoPhaseTransaction, event
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.orm import Session, SessionTransaction, sessionmaker

from outbox.postgres.pools import roll_back_leftovers
from outbox.submission.job_connection import JobConnection
from outbox.submission.statement import Row, submission, submission_for_any_driver

BUFFERS_JOBS = "duly_jobs_wait"
"""Execution option of an engine that buffers jobs until the commit."""

CONNECTION = "duly.connection"
"""In `Session.info`: the connection of its last transaction, if that engine buffers jobs."""


def job_sessions(engine: AsyncEngine, **options: Any) -> async_sessionmaker[AsyncSession]:
    """Make AsyncSessions in which `submit` sends nothing before the commit; `options` are theirs.

    The jobs go out with the COMMIT, in the same round trip, whoever commits: the session, its
    `begin()` block or its connection. When it has returned, rows and jobs are committed. When it
    raises one of SQLAlchemy's errors, neither are. If the connection broke, the task was cancelled
    or the process died, either both are or neither. If the error's `orig` is `Unreplicated`, both
    are, but without waiting for the standby.

    A rollback drops the jobs. Before the commit no statement of the transaction sees them. Use
    SQLAlchemy for savepoints, commits and rollbacks: written as SQL they bypass this.

    From now on the engine opens its connections as `JobConnection`. Jobs are written at once on
    older connections, on those of an `async_creator` or of another driver than psycopg, where each
    statement commits by itself, and inside a savepoint, so that they roll back with it. The
    engine's other sessions do not change.
    """
    job_engine = engine.execution_options(**{BUFFERS_JOBS: True})
    if engine.dialect.driver.startswith("psycopg"):
        event.listen(engine.sync_engine, "do_connect", _use_job_connection)
    roll_back_leftovers(engine.sync_engine)
    factory = options.pop("sync_session_class", None)
    recording = _recording(factory or options.get("class_", AsyncSession).sync_session_class)
    return async_sessionmaker(job_engine, sync_session_class=recording, **options)


def buffer(session: Session, rows: Sequence[Row]) -> bool:
    """Buffer these jobs until the commit. False if that may need I/O: then call `write`."""
    connection: Connection | None = session.info.get(CONNECTION)
    if not connection or not _is_current(session, connection):
        return False
    if job_connection := _job_connection(connection):
        job_connection.buffer(rows)
    return job_connection is not None


def write(session: Session, rows: Sequence[Row]) -> None:
    """Submit these jobs, now or with the commit."""
    connection = session.connection()
    if not connection.in_transaction():  # the handler committed on it, bypassing the session
        connection.begin()
    if job_connection := _job_connection(connection):
        job_connection.buffer(rows)
    elif connection.dialect.driver.startswith("psycopg"):
        connection.exec_driver_sql(*submission(rows))
    else:
        connection.execute(*submission_for_any_driver(rows))


def _is_current(session: Session, connection: Connection) -> bool:
    """Whether the session's next statement would go to it, in a transaction that has begun."""
    return (
        session.is_active  # not during a commit: `write` then has SQLAlchemy refuse the jobs
        and not connection.closed
        and session.get_bind() is connection.engine  # each statement may have another engine
        and connection.in_transaction()
        and not session.in_nested_transaction()  # the connection may not know of it yet
    )


def _use_job_connection(
    _dialect: Dialect, _record: Any, _args: Any, options: dict[str, Any]
) -> None:
    """Do as `create_async_engine(async_creator=...)` does, but with the URL's parameters."""
    options.setdefault("async_creator_fn", JobConnection.connect)


def _recording(factory: "type[Session] | sessionmaker[Session]") -> "sessionmaker[Session]":
    """Make the same sessions, but let them record their connections.

    If a sessionmaker is given, all its sessions do so from now on.
    """
    sessions = sessionmaker(class_=factory) if isinstance(factory, type) else factory
    event.listen(sessions, "after_begin", _record)
    return sessions


def _record(session: Session, _transaction: SessionTransaction, connection: Connection) -> None:
    if connection.get_execution_options().get(BUFFERS_JOBS):
        session.info[CONNECTION] = connection


def _job_connection(connection: Connection) -> JobConnection | None:
    """The driver's connection, if it may buffer the transaction's jobs until the commit."""
    driver = connection.connection.driver_connection
    may_buffer = (
        connection.get_execution_options().get(BUFFERS_JOBS, False)
        and isinstance(driver, JobConnection)
        and not driver.autocommit
        and not connection.in_nested_transaction()
        and not isinstance(connection.get_transaction(), TwoPhaseTransaction)
    )
    return driver if may_buffer else None
