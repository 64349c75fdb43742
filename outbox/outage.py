"""Which errors of a relay's duties pass by themselves."""

import psycopg

from outbox.link import BrokerGone


def is_outage(error: BaseException) -> bool:
    """Whether RabbitMQ or Postgres is away, or refuses for now; other errors are bugs.

    psycopg's OperationalError is whatever a program cannot help: lost connections, cancelled
    statements, deadlocks. SQLSTATE class 25 is a Postgres that is read-only for a while, or that
    ended a transaction which had to wait too long for the broker.
    """
    if isinstance(error, psycopg.Error) and (error.sqlstate or "").startswith("25"):
        return True
    return isinstance(error, BrokerGone | psycopg.OperationalError | psycopg.InterfaceError)
