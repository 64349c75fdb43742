"""What belongs to a session's transaction until that ends: jobs that wait, events to be told."""

from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

from sqlalchemy.orm import Session, SessionTransaction

T = TypeVar("T")


class TransactionItems(Generic[T]):
    """Items in order, each with the savepoint or outermost transaction that it belongs to.

    A savepoint that is released hands its items to what is around it; one that ends otherwise has
    them dropped.
    """

    def __init__(self) -> None:
        self._items: list[tuple[SessionTransaction, T]] = []

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[T]:
        return (item for _, item in self._items)

    def add(self, session: Session, items: Iterable[T]) -> None:
        """Add items to what the session is in now, which must be a transaction."""
        owner = session.get_nested_transaction() or session.get_transaction()
        if owner is None:
            raise RuntimeError("the session is in no transaction")
        self._items.extend((owner, item) for item in items)

    def release(self, savepoint: SessionTransaction) -> None:
        """Hand the savepoint's items to the transaction around it."""
        outer = _boundary(savepoint.parent or savepoint)
        self._items[:] = [(outer if of is savepoint else of, item) for of, item in self._items]

    def drop(self, ended: SessionTransaction) -> None:
        """Drop the items that an ended transaction still has."""
        self._items[:] = [(of, item) for of, item in self._items if of is not ended]

    def clear(self) -> None:
        """Drop all."""
        self._items.clear()


def _boundary(transaction: SessionTransaction) -> SessionTransaction:
    """The savepoint or outermost transaction that this, which may be a flush's, is part of."""
    while transaction.parent is not None and not transaction.nested:
        transaction = transaction.parent
    return transaction
