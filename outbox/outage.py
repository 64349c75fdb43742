"""Which errors of a relay's duties pass by themselves."""

import psycopg

from outbox.link import BrokerGone
from outbox.stale import is_stale


def is_outage(error: BaseException) -> bool:
    """Whether RabbitMQ or Postgres is away, or refuses for now; other errors are bugs.

    psycopg's OperationalError is whatever a program cannot help: lost connections, cancelled
    statements, deadlocks. SQLSTATE class 25 is a Postgres that is read-only for a while, or that
    ended a transaction which had to wait too long for the broker. What was prepared and is stale
    is well over a new connection.
    """
    if is_stale(error):
        return True
    if isinstance(error, psycopg.Error) and (error.sqlstate or "").startswith("25"):
        return True
    return isinstance(error, BrokerGone | psycopg.OperationalError | psycopg.InterfaceError)
