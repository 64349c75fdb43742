"""Events that become true with the commit of a session, and are emitted after it.

An event belongs to the transaction in which it was announced, savepoints included. One that is
rolled back drops its events, and so does one that is part of a transaction around the session: its
commit makes nothing true. If the process dies, nobody hears of them.
"""

from collections.abc import Callable

from sqlalchemy import event as listeners
from sqlalchemy.orm import Session, SessionTransaction

from outbox.events import Event, emit, is_wanted
from outbox.postgres.session_connections import has_committed
from outbox.postgres.transaction_items import TransactionItems

Announced = tuple[Event, Callable[[], bool]]
"""An event, and whether it is not to be emitted after all."""

ANNOUNCED = "duly.announced"
"""In `Session.info`: the events of the outermost transaction."""


def announce(session: Session, event: Event, *, unless: Callable[[], bool] = lambda: False) -> None:
    """Emit the event once the session's transaction has committed, unless nobody listens.

    Nor is it emitted if `unless` says so then.
    """
    if session.in_transaction() and is_wanted(type(event)):
        _announced(session).add(session, [(event, unless)])


@listeners.listens_for(Session, "after_commit")
def _after_commit(session: Session) -> None:
    """Emit after the outermost commit; that of a savepoint hands its events to what is around."""
    if ANNOUNCED not in session.info:
        return
    if savepoint := session.get_nested_transaction():
        _announced(session).release(savepoint)
        return
    announced = session.info.pop(ANNOUNCED)
    if has_committed(session):
        for event, unless in announced:
            if not unless():
                emit(event)


@listeners.listens_for(Session, "after_transaction_end")
def _after_transaction_end(session: Session, ended: SessionTransaction) -> None:
    """Drop the events of a transaction that ended without a commit."""
    if ANNOUNCED in session.info:
        _announced(session).drop(ended)


def _announced(session: Session) -> TransactionItems[Announced]:
    found: TransactionItems[Announced] = session.info.setdefault(ANNOUNCED, TransactionItems())
    return found
