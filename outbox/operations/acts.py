"""The record of acts: what a person did, to what, when and why.

Rows are added in the act's own transaction, and never changed or removed. The statements CANCEL,
RESCHEDULE, REPLAY and DISCARD add their rows themselves (see outbox/store/transitions/people.py).
For other acts, call `record`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, func, insert, select
from sqlalchemy.orm import Session

from outbox.store.schema import acts as table

SHOWN_THINGS = 10
"""How many things of each act `find` returns. An act may be about a hundred thousand."""


@dataclass(frozen=True, slots=True)
class Act:
    """A row of `acts`. Each thing is a text such as `job:<id>`, `dead-letter:7`, `key:<prefix>`."""

    id: int
    at: datetime
    who: str
    why: str | None
    act: str
    about: list[str]
    things: int
    """How many things the act was about; `about` may hold only the first of them."""


@dataclass(frozen=True, slots=True)
class ActFilter:
    """Which acts; None does not restrict. `since` is inclusive, `until` exclusive."""

    who: str | None = None
    act: str | None = None
    about: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """The filter as SQL."""
        found: list[ColumnElement[bool]] = []
        if self.who is not None:
            found.append(table.c.who == self.who)
        if self.act is not None:
            found.append(table.c.act == self.act)
        if self.about is not None:
            found.append(table.c.about.contains([self.about]))
        if self.since is not None:
            found.append(table.c.at >= self.since)
        if self.until is not None:
            found.append(table.c.at < self.until)
        return found


def named(who: str) -> str:
    """Return `who`. Raises ValueError if it names nobody: the record must say who it was."""
    if not any(char.isprintable() and not char.isspace() for char in who) or "\0" in who:
        raise ValueError("whoever does this must have a name: not empty, and without NUL")
    return who


def record(
    session: Session, act: str, about: Iterable[str], *, who: str, why: str | None = None
) -> int:
    """Add a row in the session's transaction. It stays if the transaction commits.

    Returns its id. Raises ValueError if `who` names nobody.
    """
    row = {"who": named(who), "why": why or None, "act": act, "about": list(about)}
    act_id: int = session.scalars(insert(table).values(row).returning(table.c.id)).one()
    return act_id


def look(session: Session, about: Iterable[str], *, who: str, why: str | None = None) -> None:
    """Record that otherwise hidden payloads were shown. Records nothing if `about` is empty."""
    if things := list(about):
        record(session, "look", things, who=who, why=why)


def get(session: Session, act_id: int) -> Act | None:
    """The act with everything it was about, or None."""
    query = select(table, func.cardinality(table.c.about).label("things"))
    row = session.execute(query.where(table.c.id == act_id)).mappings().first()
    return Act(**row) if row else None


def get_summary(session: Session, act_id: int) -> Act | None:
    """The act as `find` returns it, or None."""
    row = session.execute(_brief().where(table.c.id == act_id)).mappings().first()
    return Act(**row) if row else None


def find(
    session: Session, wanted: ActFilter, *, limit: int = 50, before: int | None = None
) -> list[Act]:
    """The newest acts first, from those with an id below `before`."""
    query = _brief().where(*wanted.conditions()).order_by(table.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(table.c.id < before)
    return [Act(**row) for row in session.execute(query).mappings()]


def _brief() -> Select[Any]:
    others = [column for column in table.c if column is not table.c.about]
    first = table.c.about[1:SHOWN_THINGS].label("about")
    return select(*others, first, func.cardinality(table.c.about).label("things"))
