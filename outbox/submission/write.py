"""Writes jobs in a session's transaction."""

from collections.abc import Sequence

from sqlalchemy import Connection, TwoPhaseTransaction
from sqlalchemy.orm import Session

from outbox.postgres.any_driver import for_any_driver
from outbox.store import transitions
from outbox.submission.job_connection import JobConnection
from outbox.submission.statement import Row, submissions


def write(session: Session, rows: Sequence[Row]) -> Connection:
    """Write these jobs now, or leave them to a JobConnection, which sends them with the COMMIT.

    Returns the connection. Raises SQLAlchemy's errors.
    """
    connection = session.connection()
    if job_connection := _job_connection(session, connection):
        job_connection.buffer(rows)
    else:
        _write(connection, rows)
    return connection


def write_now(session: Session, rows: Sequence[Row]) -> Connection:
    """Write these jobs now, and tell those of unique kinds which jobs they are.

    Returns the connection. Raises SQLAlchemy's errors.
    """
    connection = session.connection()
    _write(connection, rows)
    return connection


def _write(connection: Connection, rows: Sequence[Row]) -> None:
    if connection.dialect.driver.startswith("psycopg"):
        for each in submissions(rows):
            answer = connection.exec_driver_sql(each.transition, each.parameters)
            if each.unique:
                each.tell(answer)
    else:  # whose parameters are not psycopg's
        for each in submissions(rows, one=transitions.SUBMIT_ALL):
            answer = connection.execute(for_any_driver(each.transition), each.parameters)
            if each.unique:
                each.tell(answer)


def _job_connection(session: Session, connection: Connection) -> JobConnection | None:
    """The driver's connection, if the session's commit is the next thing that it will send."""
    driver = connection.connection.driver_connection
    may_buffer = (
        isinstance(driver, JobConnection)
        and not driver.autocommit
        and connection.in_transaction()
        and not connection.in_nested_transaction()
        and not isinstance(connection.get_transaction(), TwoPhaseTransaction)
        and not isinstance(session.get_bind(), Connection)  # which may be in somebody else's
    )
    return driver if may_buffer else None
