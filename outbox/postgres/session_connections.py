"""The connections on which a session's transaction has begun: SQLAlchemy 2.0 has no public list."""

from collections.abc import Collection

from sqlalchemy import Connection
from sqlalchemy import event as listeners
from sqlalchemy.orm import Session, SessionTransaction

CONNECTIONS = "duly.connections"
"""In `Session.info`: those of the outermost transaction."""


def connections(session: Session) -> Collection[Connection]:
    """Those on which the session's outermost transaction has begun so far."""
    found: Collection[Connection] = session.info.get(CONNECTIONS, ())
    return found


def has_committed(session: Session) -> bool:
    """Whether the commit of the session that has just ended committed what it wrote.

    A connection that was in a transaction before the session used it still is.
    """
    return not any(each.in_transaction() for each in connections(session))


@listeners.listens_for(Session, "after_begin")
def _after_begin(session: Session, _: SessionTransaction, connection: Connection) -> None:
    session.info.setdefault(CONNECTIONS, set()).add(connection)


@listeners.listens_for(Session, "after_transaction_end")
def _after_transaction_end(session: Session, ended: SessionTransaction) -> None:
    if ended.parent is None:
        session.info.pop(CONNECTIONS, None)
