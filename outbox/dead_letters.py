"""Dead letters: find them, then replay or discard them, each an audited act of a person."""

from codecs import getincrementaldecoder
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    FromClause,
    Select,
    Text,
    any_,
    cast,
    func,
    null,
    or_,
    select,
)
from sqlalchemy.orm import Session

from outbox import acts, depth, pages, steps
from outbox.pages import Order, Page, Row, several
from outbox.schema import dead_letters as letters
from outbox.submit import SUBMITTED

Reason = Literal[
    "exhausted",
    "refused",
    "uncertain",
    "invalid_payload",
    "crashed",
    "unknown_kind",
    "unpublishable",
    "malformed",
]
"""Why a letter is there; docs/operations.md explains each."""

ERROR = ("error_type", "error_message")
MESSAGE = ("message_size", "message_body", "message_headers")
LARGEST_SHOWN = 1_000_000
"""Bytes of a message's body that are read: nobody knows how large a foreign one is."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A row of `dead_letters`.

    `reason` is one of exhausted, refused (an error not worth a retry), uncertain (its effect may
    have happened, and was not to be repeated again), invalid_payload, crashed, unknown_kind,
    unpublishable; or malformed, for a message that is no job of ours (`job_id` is None).
    `message_body` is the first `LARGEST_SHOWN` of the body's `message_size` bytes; `depth.CUT`
    stands for what lies too deep in the headers.
    """

    id: int
    job_id: UUID | None
    dispatch: int | None
    kind: str | None
    queue: str
    reason: str
    error_type: str | None
    error_message: str | None
    message_size: int | None
    message_body: bytes | None
    message_headers: Any
    died_at: datetime
    collected_at: datetime | None
    closed_at: datetime | None
    resolution: str | None
    closed_by: str | None
    close_reason: str | None

    @property
    def message_text(self) -> str | None:
        """The body as text, or None where it is none."""
        if self.message_body is None:
            return None
        decoder = getincrementaldecoder("utf-8")()  # a cut body may end within a character
        try:
            return decoder.decode(self.message_body, final=not self.is_cut)
        except UnicodeDecodeError:
            return None

    @property
    def is_cut(self) -> bool:
        """Whether the message has more bytes than `message_body`."""
        return self.message_body is not None and len(self.message_body) != self.message_size


@dataclass(frozen=True, slots=True)
class DeadLetterFilter:
    """Which dead letters; what is None does not restrict. `error` is found in type and message.

    They died from `since` on and before `until`.
    """

    ids: Sequence[int] | None = None
    kind: str | None = None
    queue: str | None = None
    reason: Reason | None = None
    error: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    open: bool | None = True

    def conditions(self, rows: FromClause = letters) -> list[ColumnElement[bool]]:
        """The filter as SQL, of these rows."""
        found: list[ColumnElement[bool]] = []
        if self.ids is not None:
            found.append(rows.c.id == any_(cast(self.ids, ARRAY(BigInteger))))
        if self.kind is not None:
            found.append(rows.c.kind == self.kind)
        if self.queue is not None:
            found.append(rows.c.queue == self.queue)
        if self.reason is not None:
            found.append(rows.c.reason == self.reason)
        if self.error is not None:
            found.append(_mentions(rows, self.error))
        if self.since is not None:
            found.append(rows.c.died_at >= self.since)
        if self.until is not None:
            found.append(rows.c.died_at < self.until)
        if self.open is not None:
            found.append(rows.c.closed_at.is_(None) == self.open)
        return found


@dataclass(frozen=True, slots=True)
class Closed:
    """A dead letter that this call closed, and its job."""

    id: int
    job_id: UUID | None


def get(session: Session, letter_id: int) -> DeadLetter | None:
    """The dead letter, open or closed, or None."""
    message = (
        func.octet_length(letters.c.message_body).label("message_size"),
        func.substr(letters.c.message_body, 1, LARGEST_SHOWN).label("message_body"),
        cast(letters.c.message_headers, Text).label("message_headers"),
    )
    query = _columns(letters, *message).where(letters.c.id == letter_id)
    row = session.execute(query).mappings().first()
    return _letter(row) if row else None


def find_page(
    session: Session,
    wanted: DeadLetterFilter,
    *,
    limit: int = 50,
    after: int | None = None,
    oldest_first: bool = False,
) -> Page[DeadLetter]:
    """The newest or the oldest first, from those that come after the letter `after` in that order.

    Without the messages' bytes and headers, which may be large: `get` has them. A page may be
    short, see outbox/pages.py.
    """

    def query(rows: FromClause) -> Select[Any]:
        found = _columns(rows, *(null().label(name) for name in MESSAGE))
        return found.where(*wanted.conditions(rows))

    order = Order(after, oldest_first)
    if wanted.ids is not None:
        page = pages.read_all(session, letters, query, order, limit)
    else:
        within = [letters.c.closed_at.is_(None)] if wanted.open else []
        page = pages.read(session, letters, query, order, limit, *within)
    return Page([_letter(row) for row in page.rows], page.after)


def find(
    session: Session,
    wanted: DeadLetterFilter,
    *,
    limit: int = 50,
    after: int | None = None,
    oldest_first: bool = False,
) -> list[DeadLetter]:
    """The same from as many pages as it takes."""

    def page(last: int | None) -> Page[DeadLetter]:
        return find_page(session, wanted, limit=limit, after=last, oldest_first=oldest_first)

    return several(page, after, limit)


def matching(
    session: Session,
    wanted: DeadLetterFilter,
    *,
    limit: int | None = None,
    oldest_first: bool = False,
) -> dict[int, UUID | None]:
    """The ids of all letters that match, in order, each with its job's."""
    query = select(letters.c.id, letters.c.job_id).where(*wanted.conditions()).limit(limit)
    query = Order(oldest_first=oldest_first).of(query, letters)
    return {row.id: row.job_id for row in session.execute(query)}


def replay(
    session: Session, ids: Sequence[int], *, by: str, why: str | None = None
) -> list[Closed]:
    """Queue the letters' jobs again, each with a fresh budget of attempts, and close the letters.

    Returns those it replayed; a letter that was closed meanwhile, or that belongs to no job, is
    left as it is. Nothing runs before the caller's transaction commits, which records who and why.
    Raises ValueError where `by` is empty.
    """
    closed = _close(session, steps.REPLAY, ids, by, why)
    session.info[SUBMITTED] = bool(closed) or session.info.get(SUBMITTED, False)
    return closed


def discard(
    session: Session, ids: Sequence[int], *, by: str, why: str | None = None
) -> list[Closed]:
    """Close the letters without another run; job and history stay. Returns those it closed.

    Records who and why, as `replay` does.
    """
    return _close(session, steps.DISCARD, ids, by, why)


def _close(
    session: Session, step: str, ids: Sequence[int], by: str, why: str | None
) -> list[Closed]:
    parameters = {"ids": list(ids), "by": acts.named(by), "why": why or None}
    return [Closed(*row) for row in session.connection().exec_driver_sql(step, parameters)]


def _columns(rows: FromClause, *message: ColumnElement[Any]) -> Select[Any]:
    """All columns, with `message` for those of the message."""
    names = [name for name in DeadLetter.__dataclass_fields__ if name not in MESSAGE]
    return select(*(rows.c[name] for name in names), *message)


def _letter(row: Row) -> DeadLetter:
    headers = row["message_headers"]
    return DeadLetter(**dict(row) | {"message_headers": headers and depth.read(headers)})


def _mentions(rows: FromClause, text: str) -> ColumnElement[bool]:
    found = (rows.c[name].icontains(text, autoescape=True) for name in ERROR)
    return or_(*found)
