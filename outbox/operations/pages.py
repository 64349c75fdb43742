"""Lists in order of id, page by page, each page from a bounded number of rows.

An index for each filter would cost every job a write for each. So most filters have none. A page
holds what matches among the next rows: it may be short, or empty, although more pages follow. An
index that serves another purpose finds few rows whose order is another: these are sorted.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, TypeVar

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    Table,
    case,
    func,
    select,
    true,
)
from sqlalchemy.orm import Session

SCAN_LIMIT = 20_000
"""How many rows are searched for one page."""

FEW = 10_000
"""Up to how many rows are read and sorted by id, where an index finds them in another order."""

T = TypeVar("T")
Row = Mapping[Any, Any]
"""Values by column name."""
Q = TypeVar("Q", bound=Select[Any])


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows, and the id after which the next page begins; None if this is the last page."""

    rows: Sequence[T]
    after: Any


@dataclass(frozen=True, slots=True)
class Order:
    """Where a page begins, and in which direction it goes."""

    after: Any = None
    oldest_first: bool = False

    def of(self, query: Q, rows: FromClause) -> Q:
        """The query in this order, beginning after the row `after`."""
        key = rows.c.id
        if self.after is not None:
            query = query.where(key > self.after if self.oldest_first else key < self.after)
        return self.sort(query, rows)

    def sort(self, query: Q, rows: FromClause) -> Q:
        """The query in this order, from the first row on."""
        return query.order_by(rows.c.id if self.oldest_first else rows.c.id.desc())


def read(
    session: Session,
    table: Table,
    wanted: Callable[[FromClause], Select[Any]],
    order: Order,
    limit: int,
    *within: ColumnElement[bool],
) -> Page[Row]:
    """What `wanted` selects from the table's next `SCAN_LIMIT` rows that satisfy `within`.

    If the page is not full, the same statement also finds the last of these rows. A second
    statement could find a later row, since others close or delete some meanwhile, and rows would be
    skipped.
    """
    next_rows = (
        order.of(select(table).where(*within), table).limit(SCAN_LIMIT).subquery("next_rows")
    )
    page = order.of(wanted(next_rows), next_rows).limit(limit + 1).cte("page")
    count = select(func.count()).select_from(page).scalar_subquery()
    last = order.of(select(table.c.id).where(*within), table).offset(SCAN_LIMIT - 1).limit(1)
    reach = select(case((count <= limit, last.scalar_subquery())).label("last_id")).subquery(
        "reach"
    )
    # `reach` has one row, which is there even if the page is empty.
    query = select(reach.c.last_id, page).select_from(reach.outerjoin(page, true()))
    found = session.execute(order.sort(query, page)).mappings().all()
    return _page(_rows(found, page), limit, found[0]["last_id"])


def read_indexed(
    session: Session,
    rows: FromClause,
    wanted: Callable[[FromClause], Select[Any]],
    order: Order,
    limit: int,
) -> Page[Row]:
    """The same from all rows of the table, for filters that an index serves."""
    query = order.of(wanted(rows), rows).limit(limit + 1)
    return _page(session.execute(query).mappings().all(), limit, None)


def read_few(
    session: Session,
    few: Select[Any],
    wanted: Callable[[FromClause], Select[Any]],
    order: Order,
    limit: int,
) -> Page[Row] | None:
    """What `wanted` selects from the rows of `few`, or None if there are more than `FEW` of these.

    `few` selects whole rows in the order of an index, which keeps the planner from another way.
    """
    some = few.limit(FEW + 1)
    counted = select(func.count().label("count")).select_from(some.subquery()).cte("counted")
    are_few = select(counted.c.count <= FEW).scalar_subquery()
    rows = some.subquery("few")
    page = order.of(wanted(rows).where(are_few), rows).limit(limit + 1).cte("page")
    query = select((counted.c.count <= FEW).label("are_few"), page)
    query = query.select_from(counted.outerjoin(page, true()))
    found = session.execute(order.sort(query, page)).mappings().all()
    return _page(_rows(found, page), limit, None) if found[0]["are_few"] else None


def _rows(found: Sequence[Row], page: FromClause) -> list[Row]:
    """The rows of the page; an outer join has one without an id if the page is empty."""
    names = [column.name for column in page.c]
    return [{name: row[name] for name in names} for row in found if row["id"] is not None]


def _page(found: Sequence[Row], limit: int, last_id: Any) -> Page[Row]:
    """Up to `limit` rows. The next page begins after the last of them, or after `last_id`."""
    more = len(found) > limit
    return Page(found[:limit], found[limit - 1]["id"] if more else last_id)


def collect(page_after: Callable[[Any], Page[T]], after: Any, limit: int) -> list[T]:
    """Up to `limit` rows, from as many pages as that takes."""

    def rows() -> Iterator[T]:
        page = page_after(after)
        yield from page.rows
        while page.after is not None:
            page = page_after(page.after)
            yield from page.rows

    return list(islice(rows(), limit))
