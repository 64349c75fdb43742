"""Batches: jobs that are counted together, and the jobs that follow once they have ended."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from outbox.kinds import Work, is_declared
from outbox.postgres.round_trip import array
from outbox.submission.pending import add
from outbox.submission.rows import Row
from outbox.submission.submit import BATCH, PARENT
from outbox.submission.traced_rows import trace_of
from outbox.tracing.tracer import installed
from outbox.values.storable import storable, storable_json

AnySession = Session | AsyncSession


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch as made or added to; it exists once the caller's transaction has committed."""

    id: UUID


@contextmanager
def batch(
    session: AnySession,
    *,
    on_success: Work[Any] | None = None,
    on_settled: Work[Any] | None = None,
    on_first_death: Work[Any] | None = None,
    subject: str | None = None,
    by: str | None = None,
    seal: bool = True,
) -> Iterator[Batch]:
    """Have what is submitted in the block counted together, and jobs follow once it has ended.

    Batch and members are written by the commit of the session's transaction, as jobs are: if it
    rolls back, or the process dies before it, there is neither. A batch that is made in the block
    of another is a member of that.

    The callbacks are jobs, too, each submitted exactly once: `on_success` when all members have
    succeeded; `on_settled` when all have ended, however they did; `on_first_death` as soon as one
    is dead. If a dead member is replayed after all had ended, the batch begins another generation,
    with callbacks of its own. They carry `subject`, or else `batch:<id>`; `by` says who asked.

    Leaving the block seals the batch: only its running members may add to it from then on. With
    `seal=False`, `seal_batch` has to do that later; no batch settles before. A block that raises
    seals nothing: roll its transaction back.

    Raises what `submit` raises for callbacks and texts that cannot be stored, TypeError for a
    callback that no kind has made, and ValueError for one of a kind that neither the app nor an
    actor of this process has: nobody waits for a callback, and its mistake would show late.
    """
    group = Batch(uuid7())
    own = _sync(session)
    callbacks = {
        "on_success": _callback(on_success),
        "on_settled": _callback(on_settled),
        "on_first_death": _callback(on_first_death),
    }
    row: Row = {"batch_id": str(group.id), "is_new": "true", "within": None, "adder": None}
    if around := own.info.get(BATCH):
        row |= {"within": str(around), "adder": _adder(own)}
    _add(session, row | callbacks | {"subject": storable(subject), "submitted_by": storable(by)})
    with add_to_batch(session, group.id):
        yield group
    if seal:
        seal_batch(session, group.id)


@contextmanager
def add_to_batch(session: AnySession, batch_id: UUID) -> Iterator[Batch]:
    """Have what is submitted in the block join a batch that there is already.

    Anybody may add to a batch that is not sealed, and its running members to one that is: in the
    transaction of such a job, pass `job.batch_id`. If it may not, because the batch is sealed or
    cancelled, or there is none, the commit raises SQLAlchemy's IntegrityError, and nothing is
    committed. Until the commit, nobody else can seal or settle the batch.
    """
    own = _sync(session)
    before = own.info.get(BATCH)
    own.info[BATCH] = batch_id
    try:
        yield Batch(batch_id)
    finally:
        own.info[BATCH] = before


def seal_batch(session: AnySession, batch_id: UUID) -> None:
    """End the growth of a batch with the commit of the session's transaction.

    From then on it settles once no member is open: at once, if none is. Sealing it again changes
    nothing. If there is no such batch, the commit raises SQLAlchemy's IntegrityError.
    """
    _add(session, {"batch_id": str(batch_id), "is_sealed": "true"})


def _add(session: AnySession, row: Row) -> None:
    own = _sync(session)
    add(own, [row], may_write=own is session)


def _sync(session: AnySession) -> Session:
    return session.sync_session if isinstance(session, AsyncSession) else session


def _adder(session: Session) -> str | None:
    parent = session.info.get(PARENT)
    return str(parent.id) if parent else None


def _callback(work: Work[Any] | None) -> str | None:
    """What the relay makes the callback's job from, as JSON; the payload as it was written."""
    if work is None:
        return None
    if not isinstance(work, Work):
        raise TypeError(f"a kind makes what follows, KIND(...): not {type(work).__name__}")
    kind = work.kind
    if not is_declared(kind):
        raise ValueError(f"{kind.name} is no kind of this app: no worker would know what follows")
    job: dict[str, Any] = {"kind": kind.name, "queue": kind.queue, "priority": int(kind.priority)}
    job |= {"budget": kind.retry.attempts}
    if keys := work.keys():
        job |= {"keys": array(keys), "is_ordered": kind.is_ordered}
    if (tracer := installed()) is not None and (trace := trace_of(tracer, kind.name, kind.queue)):
        job["trace"] = trace
    rest = to_json(job, ensure_ascii=True).decode()
    return f'{rest[:-1]},"payload":{storable_json(work.to_json())}}}'
