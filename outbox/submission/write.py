"""Writes jobs in a session's transaction."""

from collections.abc import Sequence

from sqlalchemy import Connection, TwoPhaseTransaction
from sqlalchemy.orm import Session

from outbox.submission.job_connection import JobConnection
from outbox.submission.statement import Row, submission, submission_for_any_driver


def write(session: Session, rows: Sequence[Row]) -> Connection:
    """Write these jobs now, or leave them to a JobConnection, which sends them with the COMMIT.

    Returns the connection. Raises SQLAlchemy's errors.
    """
    connection = session.connection()
    if job_connection := _job_connection(session, connection):
        job_connection.buffer(rows)
    elif connection.dialect.driver.startswith("psycopg"):
        for transition, parameters in submission(rows):
            connection.exec_driver_sql(transition, parameters)
    else:
        for statement, parameters in submission_for_any_driver(rows):
            connection.execute(statement, parameters)
    return connection


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
