"""Which errors of the relay's duties pass by themselves."""

import psycopg

from outbox.amqp.connection import BrokerGone
from outbox.postgres.stale_plans import is_stale


def is_outage(error: BaseException) -> bool:
    """Whether RabbitMQ or Postgres is away, or refuses for now; any other error is a bug.

    psycopg's OperationalError is what a program cannot prevent: lost connections, cancelled
    statements, deadlocks. SQLSTATE class 25 is a Postgres that is read-only for a while, or that
    ended a transaction which waited too long for the broker. A stale prepared statement works again
    on a new connection.
    """
    if is_stale(error):
        return True
    if isinstance(error, psycopg.Error) and (error.sqlstate or "").startswith("25"):
        return True
    return isinstance(error, BrokerGone | psycopg.OperationalError | psycopg.InterfaceError)
