"""Lists, page by page in the order of their ids, each page from a bounded number of rows.

An index for each filter would cost every job a write for each. So a filter that matches little
does without: a page is what matches among the next rows, and may be short, or empty, although more
pages follow.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, FromClause, RowMapping, Select, Table, select
from sqlalchemy.orm import Session

REACH = 20_000
"""How many rows a page is looked for in."""

T = TypeVar("T")
Q = TypeVar("Q", bound=Select[Any])


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows, and the id after which the next page begins; None where this is the last."""

    rows: Sequence[T]
    after: Any


@dataclass(frozen=True, slots=True)
class Order:
    """Where a page begins, and which way it goes."""

    after: Any = None
    oldest_first: bool = False

    def of(self, query: Q, rows: FromClause) -> Q:
        """The query with its rows in this order."""
        key = rows.c.id
        if self.after is not None:
            query = query.where(key > self.after if self.oldest_first else key < self.after)
        return query.order_by(key if self.oldest_first else key.desc())


def read(
    session: Session,
    table: Table,
    wanted: Callable[[FromClause], Select[Any]],
    order: Order,
    limit: int,
    *within: ColumnElement[bool],
) -> Page[RowMapping]:
    """What `wanted` selects from the next rows of the table, of which `within` holds."""
    near = order.of(select(table).where(*within), table).limit(REACH).subquery("near")
    page = read_all(session, near, wanted, order, limit)
    if page.after is None:
        last = order.of(select(table.c.id).where(*within), table).offset(REACH - 1).limit(1)
        return Page(page.rows, session.scalar(last))
    return page


def read_all(
    session: Session,
    rows: FromClause,
    wanted: Callable[[FromClause], Select[Any]],
    order: Order,
    limit: int,
) -> Page[RowMapping]:
    """The same from all rows: for what an index finds."""
    query = order.of(wanted(rows), rows).limit(limit + 1)
    found = session.execute(query).mappings().all()
    more = len(found) > limit
    return Page(found[:limit], found[limit - 1]["id"] if more else None)


def several(page_after: Callable[[Any], Page[T]], after: Any, limit: int) -> list[T]:
    """The rows of as many pages as it takes."""

    def rows() -> Iterator[T]:
        page = page_after(after)
        yield from page.rows
        while page.after is not None:
            page = page_after(page.after)
            yield from page.rows

    return list(islice(rows(), limit))
