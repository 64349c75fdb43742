"""Batches as clients and operators see them: get, list, look at members, seal, cancel."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, FromClause, Select, func, select, text, update
from sqlalchemy.orm import Session

from outbox.operations import acts, pages
from outbox.operations.pages import Order, Page, collect
from outbox.store.schema import batch_callbacks, batch_changes, jobs
from outbox.store.schema import batches as table
from outbox.store.transitions.members import in_cancelled

State = Literal["growing", "open", "cancelling", "succeeded", "dead", "cancelled"]
"""`growing` until it is sealed, `open` until all have ended, then how it ended.

`dead` if a member is dead; otherwise `cancelled` if one was. `cancelling` is `open` after a cancel.
"""
CALLBACKS = ("on_success", "on_settled", "on_first_death")
_IS_CANCELLED = text(
    f"SELECT {in_cancelled('job.batch_id')} FROM duly.jobs AS job WHERE job.id = :id"  # noqa: S608 - no input
)


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """A row of `batches`, as counted when the relay last added up how members ended.

    A member is a job, or a batch that was made in this one. `generation` is 1 until a dead member
    is replayed after the batch had settled. `callbacks` are the kinds of its callbacks, by name.
    """

    id: UUID
    parent_id: UUID | None
    generation: int
    members: int
    succeeded: int
    dead: int
    cancelled: int
    outcome: str | None
    subject: str | None
    submitted_by: str | None
    created_at: datetime
    sealed_at: datetime | None
    first_death_at: datetime | None
    cancelled_at: datetime | None
    settled_at: datetime | None
    callbacks: dict[str, str]

    @property
    def open(self) -> int:
        """How many members have not ended."""
        return self.members - self.succeeded - self.dead - self.cancelled

    @property
    def state(self) -> State:
        """Where it stands."""
        match self.outcome:
            case "succeeded" | "dead" | "cancelled":
                return self.outcome
        if self.cancelled_at is not None:
            return "cancelling"
        return "growing" if self.sealed_at is None else "open"


@dataclass(frozen=True, slots=True)
class BatchFilter:
    """Which batches to list; None does not restrict. `open` are those that have not settled."""

    open: bool | None = None
    subject: str | None = None
    parent_id: UUID | None = None

    def conditions(self, rows: FromClause) -> list[ColumnElement[bool]]:
        """The filter as SQL on `rows`."""
        found: list[ColumnElement[bool]] = []
        if self.open is not None:
            found.append(rows.c.settled_at.is_(None) == self.open)
        if self.subject is not None:
            found.append(rows.c.subject == self.subject)
        if self.parent_id is not None:
            found.append(rows.c.parent_id == self.parent_id)
        return found


def get(session: Session, batch_id: UUID) -> BatchRecord | None:
    """The batch, or None."""
    return _first(session, table.c.id == batch_id)


def hold(session: Session, batch_id: UUID, *, to_seal: bool = False) -> BatchRecord | None:
    """The batch, or None. Until the caller's transaction ends, nobody seals, settles or cancels it.

    Whoever is going to seal it waits for others that hold it.
    """
    query = _columns(table).where(table.c.id == batch_id).with_for_update(read=not to_seal)
    row = session.execute(query).mappings().first()
    return _record(row) if row else None


def get_of(session: Session, job_id: UUID) -> BatchRecord | None:
    """The batch that the job is a callback of, or else a member of, or None.

    In a callback, `get_of(tx, job.id)` has the counts of its batch.
    """
    of_callback = select(batch_callbacks.c.batch_id).where(batch_callbacks.c.job_id == job_id)
    of_member = select(jobs.c.batch_id).where(jobs.c.id == job_id)
    wanted = func.coalesce(of_callback.scalar_subquery(), of_member.scalar_subquery())
    return _first(session, table.c.id == wanted)


def is_cancelled(session: Session, job_id: UUID) -> bool:
    """Whether the job's batch, or one around it, was cancelled: the job cannot be replayed."""
    found: bool | None = session.execute(_IS_CANCELLED, {"id": job_id}).scalar()
    return bool(found)


def find_page(
    session: Session, wanted: BatchFilter, *, limit: int = 50, before: UUID | None = None
) -> Page[BatchRecord]:
    """The newest batches first, from those older than the batch `before`.

    A page may be short: see outbox/operations/pages.py.
    """

    def query(rows: FromClause) -> Select[Any]:
        return _columns(rows).where(*wanted.conditions(rows))

    read = pages.read if wanted.parent_id is None else pages.read_indexed
    page = read(session, table, query, Order(before), limit)
    return Page([_record(row) for row in page.rows], page.after)


def find(
    session: Session, wanted: BatchFilter, *, limit: int = 50, before: UUID | None = None
) -> list[BatchRecord]:
    """Up to `limit` batches, from as many pages as that takes."""

    def page(after: UUID | None) -> Page[BatchRecord]:
        return find_page(session, wanted, limit=limit, before=after)

    return collect(page, before, limit)


def members(batch_id: UUID) -> Select[tuple[UUID]]:
    """The ids of the jobs that are members of the batch, or of a batch in it, however deep."""
    inside = select(table.c.id).where(table.c.id == batch_id).cte("inside", recursive=True)
    deeper = select(table.c.id).join(inside, table.c.parent_id == inside.c.id)
    inside = inside.union_all(deeper)
    return select(jobs.c.id).where(jobs.c.batch_id.in_(select(inside.c.id)))


def seal(session: Session, batch_id: UUID, *, by: str, why: str | None = None) -> bool:
    """End the growth of the batch, as a person: who and why go to the record of acts.

    Returns whether it was growing. It happens with the commit of the caller's transaction. Raises
    ValueError if `by` names nobody.
    """
    growing = table.c.sealed_at.is_(None)
    return _change(session, batch_id, growing, "seal-batch", by=by, why=why)


def cancel(session: Session, batch_id: UUID, *, by: str, why: str | None = None) -> bool:
    """Seal the batch, and have a relay cancel what has not ended of it.

    Queued members are cancelled within about a second. Running ones are asked to stop, as
    `duly jobs cancel` does, and get no other attempt. The batch settles as cancelled once all have
    ended. Batches in it are cancelled, too.

    Returns whether there is such a batch that is neither settled nor cancelled. Records who and
    why, as `seal` does.
    """
    running = table.c.settled_at.is_(None) & table.c.cancelled_at.is_(None)
    marks = {"cancelled_at": func.now()}
    return _change(session, batch_id, running, "cancel-batch", marks, by=by, why=why)


def _change(
    session: Session,
    batch_id: UUID,
    condition: ColumnElement[bool],
    act: str,
    marks: dict[str, Any] | None = None,
    *,
    by: str,
    why: str | None,
) -> bool:
    """Seal it, mark it, have a relay look at it, and record the act."""
    acts.named(by)
    sealed = {"sealed_at": func.coalesce(table.c.sealed_at, func.now())}
    change = update(table).where(table.c.id == batch_id, condition).values(sealed | (marks or {}))
    if session.execute(change.returning(table.c.id)).first() is None:
        return False
    session.execute(batch_changes.insert().values(batch_id=batch_id))
    acts.record(session, act, [f"batch:{batch_id}"], who=by, why=why)
    return True


def _first(session: Session, condition: ColumnElement[bool]) -> BatchRecord | None:
    row = session.execute(_columns(table).where(condition)).mappings().first()
    return _record(row) if row else None


def _columns(rows: FromClause) -> Select[Any]:
    names = [name for name in BatchRecord.__dataclass_fields__ if name != "callbacks"]
    kinds = (rows.c[name]["kind"].astext.label(name) for name in CALLBACKS)
    return select(*(rows.c[name] for name in names), *kinds)


def _record(row: pages.Row) -> BatchRecord:
    values = dict(row)
    callbacks = {name: kind for name in CALLBACKS if (kind := values.pop(name)) is not None}
    return BatchRecord(**values, callbacks=callbacks)
