"""Events that become true with the commit of a session, and are emitted after it.

An event belongs to the transaction in which it was announced, savepoints included. One that is
rolled back drops its events. If the process dies, nobody hears of them.
"""

from sqlalchemy import event as listeners
from sqlalchemy.orm import Session, SessionTransaction

from outbox.events import Event, emit, is_wanted

ANNOUNCED = "duly.announced"
"""In `Session.info`: the events of the outermost transaction, each with its transaction."""

Announced = list[tuple[SessionTransaction, Event]]


def announce(session: Session, event: Event) -> None:
    """Emit the event once the session's transaction has committed, unless nobody listens."""
    owner = session.get_nested_transaction() or session.get_transaction()
    if owner is not None and is_wanted(type(event)):
        session.info.setdefault(ANNOUNCED, []).append((owner, event))


@listeners.listens_for(Session, "after_commit")
def _after_commit(session: Session) -> None:
    """Emit after the outermost commit; that of a savepoint hands its events to what is around."""
    savepoint = session.get_nested_transaction()
    if savepoint is None:
        for _, event in session.info.pop(ANNOUNCED, []):
            emit(event)
        return
    announced: Announced = session.info.get(ANNOUNCED, [])
    outer = _around(savepoint)
    announced[:] = [(outer if of is savepoint else of, event) for of, event in announced]


@listeners.listens_for(Session, "after_transaction_end")
def _after_transaction_end(session: Session, ended: SessionTransaction) -> None:
    """Drop the events of a transaction that ended without a commit."""
    announced: Announced = session.info.get(ANNOUNCED, [])
    announced[:] = [(of, event) for of, event in announced if of is not ended]


def _around(savepoint: SessionTransaction) -> SessionTransaction:
    """The savepoint or outermost transaction around this savepoint."""
    outer = savepoint.parent or savepoint
    while outer.parent is not None and not outer.nested:
        outer = outer.parent
    return outer
