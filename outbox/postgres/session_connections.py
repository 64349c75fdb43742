"""The connections on which a session's transaction has begun: SQLAlchemy 2.0 has no public list."""

from collections.abc import Mapping

from sqlalchemy import Connection, Transaction
from sqlalchemy import event as listeners
from sqlalchemy.orm import Session, SessionTransaction

CONNECTIONS = "duly.connections"
"""In `Session.info`: those of the outermost transaction."""

Begun = Mapping[Connection, Transaction | None]
"""Connections, each with the transaction or savepoint that the session uses there."""


def connections(session: Session) -> Begun:
    """Those on which the session's outermost transaction has begun so far."""
    found: Begun = session.info.get(CONNECTIONS, {})
    return found


def left_open(session: Session) -> list[Connection]:
    """Those in a transaction of somebody else's that goes on, once the session's has ended.

    Nor was it rolled back to a savepoint: what the session did there is still part of it.
    """
    return [each for each, used in connections(session).items() if used and used.is_active]


def has_committed(session: Session) -> bool:
    """Whether the commit of the session that has just ended committed what it wrote.

    A connection that was in a transaction before the session used it still is.
    """
    return not any(each.in_transaction() for each in connections(session))


@listeners.listens_for(Session, "after_begin")
def _after_begin(session: Session, _: SessionTransaction, connection: Connection) -> None:
    used = connection.get_nested_transaction() or connection.get_transaction()
    session.info.setdefault(CONNECTIONS, {}).setdefault(connection, used)


@listeners.listens_for(Session, "after_transaction_end")
def _after_transaction_end(session: Session, ended: SessionTransaction) -> None:
    if ended.parent is None:
        session.info.pop(CONNECTIONS, None)
