"""The figures of a report. All are computed by Postgres, and all are of one moment."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Date,
    DateTime,
    Numeric,
    Select,
    Subquery,
    cast,
    collate,
    func,
    literal,
    select,
    text,
)
from sqlalchemy.orm import Session

from outbox import Job
from service.invoices.models import Invoice, InvoiceLine
from service.reports.period import DAY, Period

ROWS_AT_ONCE = 2_000
"""How many groups are in memory at a time."""
MOST_CUSTOMERS = 10
"""How many customers of each currency are listed."""
SNAPSHOT = text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
CENTS = Numeric(1000, 2)
"""Any sum there can be, with two decimals."""


class Total(NamedTuple):
    """What was invoiced in one currency."""

    currency: str
    invoices: int
    lines: int
    customers: int
    amount: Decimal


class Day(NamedTuple):
    """What was invoiced in one currency on one day."""

    currency: str
    day: date
    amount: Decimal


class Customer(NamedTuple):
    """What was invoiced to one customer in one currency."""

    currency: str
    customer: str
    invoices: int
    amount: Decimal


class Group(NamedTuple):
    """What was invoiced to one customer in one currency on one day."""

    currency: str
    day: date
    customer: str
    invoices: int
    lines: int
    amount: Decimal


class Figures:
    """The figures of a period, in a session that holds a snapshot.

    Currencies are never added up. A customer is a name: two with the same name are one here.
    """

    def __init__(self, session: Session, period: Period) -> None:
        self._session = session
        self._invoices = _invoices(period)
        self.period = period

    def totals(self) -> list[Total]:
        """The total of each currency, by its code."""
        each = self._invoices.c
        query = select(
            each.currency,
            func.count(),
            _count(each.lines),
            func.count(each.customer.distinct()),
            _sum(each.amount),
        )
        return [Total(*row) for row in self._session.execute(_by(query, each.currency))]

    def days(self) -> list[Day]:
        """The days on which there were invoices, by currency."""
        each = self._invoices.c
        query = select(each.currency, each.day, _sum(each.amount))
        return [Day(*row) for row in self._session.execute(_by(query, each.currency, each.day))]

    def customers(self) -> list[Customer]:
        """The customers of each currency to whom most was invoiced, the first one first."""
        each = self._invoices.c
        amount, name = _sum(each.amount), collate(each.customer, "C")
        place = func.row_number().over(
            partition_by=each.currency, order_by=[amount.desc(), name.asc()]
        )
        query = select(
            each.currency,
            each.customer,
            func.count().label("invoices"),
            amount.label("amount"),
            place.label("place"),
        )
        found = query.group_by(each.currency, each.customer).subquery()
        columns = (found.c.currency, found.c.customer, found.c.invoices, found.c.amount)
        first = select(*columns).where(found.c.place <= MOST_CUSTOMERS)
        ordered = first.order_by(collate(found.c.currency, "C"), found.c.place)
        return [Customer(*row) for row in self._session.execute(ordered)]

    def groups(self) -> Iterator[Group]:
        """All groups by currency, day and customer, through a cursor in Postgres.

        `ROWS_AT_ONCE` of them are in memory at a time.
        """
        each = self._invoices.c
        query = select(
            each.currency,
            each.day,
            each.customer,
            func.count(),
            _count(each.lines),
            _sum(each.amount),
        )
        ordered = _by(query, each.currency, each.day, each.customer)
        with self._session.execute(ordered, execution_options={"yield_per": ROWS_AT_ONCE}) as found:
            for row in found:
                yield Group(*row)


@contextmanager
def snapshot(job: Job) -> Iterator[Session]:
    """A session of the job's in which all queries see the rows of one moment."""
    with job.sessions() as session, session.begin():
        session.execute(SNAPSHOT)
        yield session


def _invoices(period: Period) -> Subquery:
    """The invoices of the period, each with its day, lines and amount."""
    amount = func.coalesce(func.sum(InvoiceLine.quantity * InvoiceLine.unit_price), 0)
    return (
        select(
            Invoice.currency,
            Invoice.customer,
            cast(func.timezone(period.zone, Invoice.created_at), Date).label("day"),
            func.count(InvoiceLine.position).label("lines"),
            amount.label("amount"),
        )
        .outerjoin(InvoiceLine, InvoiceLine.invoice_id == Invoice.id)
        .where(Invoice.created_at >= _midnight(period.first_day, period.zone))
        .where(Invoice.created_at < _midnight(period.last_day + DAY, period.zone))
        .group_by(Invoice.id)
        .subquery("invoiced")
    )


def _midnight(day: date, zone: str) -> ColumnElement[datetime]:
    """The beginning of the day, by the time zones that Postgres knows, as `day` is."""
    return func.timezone(zone, literal(datetime.combine(day, time()), DateTime()))


def _count(lines: ColumnElement[int]) -> ColumnElement[int]:
    return cast(func.sum(lines), BigInteger)


def _sum(amount: ColumnElement[Decimal]) -> ColumnElement[Decimal]:
    return cast(func.sum(amount), CENTS)


def _by(query: Select[Any], *columns: ColumnElement[Any]) -> Select[Any]:
    """Grouped and ordered by these columns; texts by their bytes, whatever the database's order."""
    order = [
        collate(each, "C") if each.name in ("currency", "customer") else each for each in columns
    ]
    return query.group_by(*columns).order_by(*order)
