"""What belongs to a session's transaction until that ends: jobs that wait, events to be told."""

from collections.abc import Iterator, Sequence
from itertools import compress
from typing import Generic, TypeVar

from sqlalchemy.orm import Session, SessionTransaction

T = TypeVar("T")


class TransactionItems(Generic[T]):
    """Items in order, each with the savepoint or outermost transaction that it belongs to.

    A savepoint that is released hands its items to what is around it; one that ends otherwise has
    them dropped.
    """

    def __init__(self) -> None:
        self._items: list[T] = []
        self._owners: list[SessionTransaction] = []
        """What each item belongs to: beside them, as pairs would cost thousands of jobs time."""

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[T]:
        return iter(self._items)

    def add(self, session: Session, items: Sequence[T]) -> None:
        """Add items to what the session is in now, which must be a transaction."""
        owner = _owner(session)
        self._items.extend(items)
        self._owners.extend([owner] * len(items))

    def of(self, session: Session) -> list[T]:
        """The items of what the session is in now."""
        owner = _owner(session)
        return [item for item, its in zip(self._items, self._owners, strict=True) if its is owner]

    def remove(self, items: Sequence[T]) -> None:
        """Remove these very items."""
        removed = {id(item) for item in items}
        self._keep([id(item) not in removed for item in self._items])

    def release(self, savepoint: SessionTransaction) -> None:
        """Hand the savepoint's items to the transaction around it."""
        outer = _boundary(savepoint.parent or savepoint)
        self._owners[:] = [outer if owner is savepoint else owner for owner in self._owners]

    def drop(self, ended: SessionTransaction) -> None:
        """Drop the items that an ended transaction still has."""
        self._keep([owner is not ended for owner in self._owners])

    def clear(self) -> None:
        """Drop all."""
        self._items.clear()
        self._owners.clear()

    def _keep(self, kept: Sequence[bool]) -> None:
        self._items[:] = compress(self._items, kept)
        self._owners[:] = compress(self._owners, kept)


def _owner(session: Session) -> SessionTransaction:
    owner = session.get_nested_transaction() or session.get_transaction()
    if owner is None:
        raise RuntimeError("the session is in no transaction")
    return owner


def _boundary(transaction: SessionTransaction) -> SessionTransaction:
    """The savepoint or outermost transaction that this, which may be a flush's, is part of."""
    while transaction.parent is not None and not transaction.nested:
        transaction = transaction.parent
    return transaction
