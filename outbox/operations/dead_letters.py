"""Dead letters: find them, then replay or discard them. Both are audited acts of a person."""

from codecs import getincrementaldecoder
from collections.abc import Sequence
from dataclasses import astuple, dataclass
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

from outbox.events import Discarded, Replayed
from outbox.operations import acts, batches, pages
from outbox.operations.pages import Order, Page, Row, collect
from outbox.postgres.after_commit import announce
from outbox.store import transitions
from outbox.store.schema import dead_letters as letters
from outbox.submission.pending import wake_up_after_commit
from outbox.values import depth

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
"""Why a dead letter exists; docs/operations.md explains each."""

ERROR = ("error_type", "error_message")
MESSAGE = ("message_size", "message_body", "message_headers")
LARGEST_SHOWN = 1_000_000
"""How many bytes of a message's body are read: a foreign one may have any size."""

NOTE_LOOK = """
WITH unseen AS (
    SELECT id FROM duly.dead_letters WHERE id = %(id)s AND looked_at IS NULL
    FOR UPDATE SKIP LOCKED
)
UPDATE duly.dead_letters AS letter SET looked_at = now() FROM unseen WHERE letter.id = unseen.id
RETURNING set_config('synchronous_commit', 'off', true)
"""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A row of `dead_letters`.

    `reason` is exhausted, refused (an error not worth a retry), uncertain (its effect may have
    happened, and must not be repeated again), invalid_payload, crashed, unknown_kind, unpublishable
    or malformed (a message that is no job of ours: `job_id` is None). A message to another service
    that could not be sent is unpublishable, and has an `outgoing_id`. `message_body` holds the
    first `LARGEST_SHOWN` of the body's `message_size` bytes. In the headers, `depth.CUT` replaces
    what is nested too deeply.
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
    outgoing_id: UUID | None
    looked_at: datetime | None
    """When somebody first looked at it, as far as that is on record: see `note_look`."""

    @property
    def may_be_replayed(self) -> bool:
        """Whether there is something to run or send again, if it is still open."""
        return self.job_id is not None or self.outgoing_id is not None

    @property
    def message_text(self) -> str | None:
        """The body as text; None if there is no body, or it is not UTF-8."""
        if self.message_body is None:
            return None
        decoder = getincrementaldecoder("utf-8")()  # a cut body may end inside a character
        try:
            return decoder.decode(self.message_body, final=not self.is_cut)
        except UnicodeDecodeError:
            return None

    @property
    def is_cut(self) -> bool:
        """Whether `message_body` is shorter than the message's body."""
        return self.message_body is not None and len(self.message_body) != self.message_size


@dataclass(frozen=True, slots=True)
class DeadLetterFilter:
    """Which dead letters; None does not restrict.

    `error` is searched for in error type and message. `since` (inclusive) and `until` (exclusive)
    restrict `died_at`. `batch` are the members of that batch, and of the batches in it.
    """

    ids: Sequence[int] | None = None
    kind: str | None = None
    queue: str | None = None
    reason: Reason | None = None
    error: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    open: bool | None = True
    batch: UUID | None = None

    def conditions(self, rows: FromClause = letters) -> list[ColumnElement[bool]]:
        """The filter as SQL on `rows`."""
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
        if self.batch is not None:
            found.append(rows.c.job_id.in_(batches.members(self.batch)))
        return found


@dataclass(frozen=True, slots=True)
class Closed:
    """A dead letter that this call closed, and its job."""

    id: int
    job_id: UUID | None
    kind: str | None


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


def note_look(session: Session, letter_id: int) -> None:
    """Note that somebody looked at the letter now, unless it was looked at before.

    True with the commit, which waits for neither disk nor standby; a row that somebody acts on at
    this moment is left alone. Callers show the letter whether this succeeds or not.
    """
    session.connection().exec_driver_sql(NOTE_LOOK, {"id": letter_id})


def find_of(session: Session, job_id: UUID, dispatch: int) -> DeadLetter | None:
    """The dead letter of a job's dispatch, open or closed, or None. Without its message."""
    query = _columns(letters, *(null().label(name) for name in MESSAGE))
    query = query.where(letters.c.job_id == job_id, letters.c.dispatch == dispatch)
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
    """A page of letters by id, newest or oldest first, beginning after the letter `after`.

    Without the messages' bodies and headers, which may be large: `get` reads them. A page may be
    short: see outbox/operations/pages.py.
    """

    def query(rows: FromClause) -> Select[Any]:
        found = _columns(rows, *(null().label(name) for name in MESSAGE))
        return found.where(*wanted.conditions(rows))

    order = Order(after, oldest_first)
    if wanted.ids is not None:
        page = pages.read_indexed(session, letters, query, order, limit)
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
    """Up to `limit` letters, from as many pages as that takes."""

    def page(last: int | None) -> Page[DeadLetter]:
        return find_page(session, wanted, limit=limit, after=last, oldest_first=oldest_first)

    return collect(page, after, limit)


def matching(
    session: Session,
    wanted: DeadLetterFilter,
    *,
    limit: int | None = None,
    oldest_first: bool = False,
) -> dict[int, UUID | None]:
    """The ids of all matching letters, in order, each with its job's id."""
    query = select(letters.c.id, letters.c.job_id).where(*wanted.conditions()).limit(limit)
    query = Order(oldest_first=oldest_first).of(query, letters)
    return {row.id: row.job_id for row in session.execute(query)}


def replay(
    session: Session, ids: Sequence[int], *, by: str, why: str | None = None
) -> list[Closed]:
    """Queue the letters' jobs again, each with a fresh budget of attempts, and close the letters.

    Returns the letters that it closed. A letter that was closed already, or that belongs to no job,
    is left as it is. Nothing runs before the caller's transaction commits; it also records who and
    why. Raises ValueError if `by` names nobody.
    """
    closed = _close(session, transitions.REPLAY, ids, by, why)
    messages = _close(session, transitions.REPLAY_MESSAGES, ids, by, why)
    if closed or messages:
        wake_up_after_commit(session)
    for letter, job, kind in map(astuple, closed):
        replayed = Replayed(job_id=job, kind=kind, dead_letter=letter, by=by, why=why)
        announce(session, replayed)
    return [*closed, *messages]


def discard(
    session: Session, ids: Sequence[int], *, by: str, why: str | None = None
) -> list[Closed]:
    """Close the letters without another run; jobs and their history stay.

    Returns the letters that it closed. Records who and why, as `replay` does.
    """
    closed = _close(session, transitions.DISCARD, ids, by, why)
    for letter, job, kind in map(astuple, closed):
        discarded = Discarded(job_id=job, kind=kind, dead_letter=letter, by=by, why=why)
        announce(session, discarded)
    return closed


def _close(
    session: Session, transition: str, ids: Sequence[int], by: str, why: str | None
) -> list[Closed]:
    parameters = {"ids": list(ids), "by": acts.named(by), "why": why or None}
    return [Closed(*row) for row in session.connection().exec_driver_sql(transition, parameters)]


def _columns(rows: FromClause, *message: ColumnElement[Any]) -> Select[Any]:
    """All columns, with `message` in place of those that hold the message."""
    names = [name for name in DeadLetter.__dataclass_fields__ if name not in MESSAGE]
    return select(*(rows.c[name] for name in names), *message)


def _letter(row: Row) -> DeadLetter:
    headers = row["message_headers"]
    return DeadLetter(**dict(row) | {"message_headers": headers and depth.read(headers)})


def _mentions(rows: FromClause, text: str) -> ColumnElement[bool]:
    found = (rows.c[name].icontains(text, autoescape=True) for name in ERROR)
    return or_(*found)
