"""Messages to other services as operators see them: list them, and send them again."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, FromClause, Select, case, func, select, text
from sqlalchemy.orm import Session

from outbox.operations import acts, pages
from outbox.operations.pages import Order, Page, collect
from outbox.store import transitions
from outbox.store.schema import outgoing_messages as table
from outbox.submission.pending import wake_up_after_commit

State = Literal["waiting", "deferred", "dead", "sent"]
"""`deferred` after the broker has refused it, `dead` while it is a dead letter."""

NEVER = text("'infinity'::timestamptz")


@dataclass(frozen=True, slots=True)
class MessageRecord:
    """A row of `outgoing_messages`, without its body; `size` is how many bytes that has.

    `failures` counts how often the broker has refused it.
    """

    id: UUID
    exchange: str
    routing_key: str
    type: str
    state: State
    size: int
    failures: int
    created_at: datetime
    deferred_until: datetime | None
    sent_at: datetime | None


@dataclass(frozen=True, slots=True)
class MessageFilter:
    """Which messages; None does not restrict.

    `since` (inclusive) and `until` (exclusive) restrict when the broker confirmed them.
    """

    exchange: str | None = None
    routing_key: str | None = None
    type: str | None = None
    state: State | None = None
    since: datetime | None = None
    until: datetime | None = None

    def conditions(self, rows: FromClause = table) -> list[ColumnElement[bool]]:
        """The filter as SQL on `rows`."""
        found: list[ColumnElement[bool]] = [
            rows.c[name] == getattr(self, name)
            for name in ("exchange", "routing_key", "type")
            if getattr(self, name) is not None
        ]
        if self.state is not None:
            found.append(_state(rows) == self.state)
        if self.since is not None:
            found.append(rows.c.sent_at >= self.since)
        if self.until is not None:
            found.append(rows.c.sent_at < self.until)
        return found


def find_page(
    session: Session, wanted: MessageFilter, *, limit: int = 50, before: UUID | None = None
) -> Page[MessageRecord]:
    """The newest messages first, from those older than the message `before`.

    A page may be short: see outbox/operations/pages.py.
    """

    def query(rows: FromClause) -> Select[Any]:
        return _columns(rows).where(*wanted.conditions(rows))

    page = pages.read(session, table, query, Order(before), limit)
    return Page([MessageRecord(**row) for row in page.rows], page.after)


def find(
    session: Session, wanted: MessageFilter, *, limit: int = 50, before: UUID | None = None
) -> list[MessageRecord]:
    """Up to `limit` messages, from as many pages as that takes."""

    def page(last: UUID | None) -> Page[MessageRecord]:
        return find_page(session, wanted, limit=limit, before=last)

    return collect(page, before, limit)


def count(session: Session, wanted: MessageFilter) -> int:
    """How many there are."""
    query = select(func.count()).select_from(table).where(*wanted.conditions())
    return int(session.scalar(query) or 0)


def resend(
    session: Session,
    since: datetime,
    until: datetime,
    *,
    exchange: str | None = None,
    routing_key: str | None = None,
    by: str,
    why: str | None = None,
) -> int:
    """Have some of the messages sent again that were sent in that time, with their message ids.

    Returns how many, up to a thousand: call it again, in another transaction, until there are none.
    It records who and why. Receivers drop what they have, by the message id. Raises ValueError if
    `by` names nobody.
    """
    wanted = {"since": since, "until": until, "exchange": exchange, "routing_key": routing_key}
    person = {"by": acts.named(by), "why": why or None}
    connection = session.connection()
    found = connection.exec_driver_sql(transitions.RESEND, wanted | person).all()
    if found:
        wake_up_after_commit(session)
    return len(found)


def now(session: Session) -> datetime:
    """Postgres's time."""
    found: datetime = session.scalars(select(func.now())).one()
    return found


def _columns(rows: FromClause) -> Select[Any]:
    derived = ("state", "size", "deferred_until")
    plain = [name for name in MessageRecord.__dataclass_fields__ if name not in derived]
    return select(
        *(rows.c[name] for name in plain),
        _state(rows).label("state"),
        func.octet_length(rows.c.body).label("size"),
        case((rows.c.deferred_until != NEVER, rows.c.deferred_until)).label("deferred_until"),
    )


def _state(rows: FromClause) -> ColumnElement[str]:
    return case(
        (rows.c.sent_at.is_not(None), "sent"),
        (rows.c.deferred_until.is_(None), "waiting"),
        (rows.c.deferred_until == NEVER, "dead"),
        else_="deferred",
    )
