"""Keeps events, and submits the jobs that they become, in the caller's transaction."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from outbox import Work, flush_jobs, submit
from service.hooks.jobs_of_events import WORK_OF, NoWork, work_of
from service.hooks.models import HookEvent
from service.hooks.reading import Event, content_of


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of a delivery."""

    id: UUID
    job_id: UUID | None
    is_duplicate: bool
    """Whether the event had come before, so that nothing was done."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of unknown events that were looked at again."""

    jobs: Mapping[UUID, UUID]
    """The new jobs, by their events."""
    still_unknown: Mapping[UUID, str]
    """Why the others became none, by their ids."""
    last: UUID | None
    """The last one looked at, if others may follow."""


def keep(session: Session, event: Event) -> Kept:
    """Store the event and submit its job, once however often it comes.

    While another transaction stores the same event, this waits for it. If the process dies before
    the commit, neither is there, and the sender gets no answer: it sends the event again.
    """
    work, why = _work(event.source, event.type, event.content)
    event_id = _store(session, event, why)
    if event_id is None:
        return _stored_before(session, event)
    jobs = _submit(session, {event_id: work} if work else {}, by=f"hook source {event.source}")
    return Kept(event_id, jobs.get(event_id), is_duplicate=False)


def take(
    session: Session,
    *,
    source: str | None,
    event_type: str | None,
    after: UUID | None,
    limit: int,
    by: str,
) -> Taken:
    """Submit the jobs of unknown events of which this release makes some, the oldest first.

    Events that another transaction is taking are passed by.
    """
    found = session.scalars(_unknown(source, event_type, after).limit(limit)).all()
    works, left = {}, {}
    for event in found:
        work, why = _work(event.source, event.type, content_of(event.payload))
        if work is None:
            left[event.id] = why or ""
        else:
            works[event.id] = work
    last = found[-1].id if len(found) == limit else None
    return Taken(_submit(session, works, by), left, last)


def take_one(session: Session, event: HookEvent, by: str) -> UUID:
    """Submit the job of an unknown event that the transaction has locked. Raises NoWork."""
    work = work_of(event.source, event.type, content_of(event.payload))
    return _submit(session, {event.id: work}, by)[event.id]


def _work(
    source: str, event_type: str | None, content: Mapping[str, Any]
) -> tuple[Work[Any] | None, str | None]:
    try:
        return work_of(source, event_type, content), None
    except NoWork as error:
        return None, str(error)


def _store(session: Session, event: Event, why: str | None) -> UUID | None:
    """The id of its row; None if there is one already."""
    row = {
        "id": uuid7(),
        "source": event.source,
        "event_id": event.event_id,
        "type": event.type,
        "created_at": event.created_at,
        "payload": event.body,
        "why": why,
    }
    new = insert(HookEvent).values(row).on_conflict_do_nothing()
    return session.scalar(new.returning(HookEvent.id))


def _stored_before(session: Session, event: Event) -> Kept:
    query = select(HookEvent.id, HookEvent.job_id).where(
        HookEvent.source == event.source, HookEvent.event_id == event.event_id
    )
    row = session.execute(query).one()
    return Kept(row.id, row.job_id, is_duplicate=True)


def _unknown(source: str | None, event_type: str | None, after: UUID | None) -> Any:
    known = [(source, each) for source, types in WORK_OF.items() for each in types]
    query = select(HookEvent).where(
        HookEvent.job_id.is_(None), tuple_(HookEvent.source, HookEvent.type).in_(known)
    )
    if source is not None:
        query = query.where(HookEvent.source == source)
    if event_type is not None:
        query = query.where(HookEvent.type == event_type)
    if after is not None:
        query = query.where(HookEvent.id > after)
    return query.order_by(HookEvent.id).with_for_update(skip_locked=True)


def _submit(session: Session, works: Mapping[UUID, Work[Any]], by: str) -> dict[UUID, UUID]:
    """Submit the job of each event, and note it there. The jobs by their events."""
    jobs = {
        event_id: submit(session, work, subject=f"hook-event:{event_id}", by=by)
        for event_id, work in works.items()
    }
    flush_jobs(session)  # only now a job of a unique kind has its id
    if jobs:
        rows = [{"id": each, "job_id": job.id, "why": None} for each, job in jobs.items()]
        session.execute(update(HookEvent), rows)
    return {event_id: job.id for event_id, job in jobs.items()}
