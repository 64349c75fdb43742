"""Deliveries to webhook endpoints: which there are, what became of each, and delivering again."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, Select, case, select
from sqlalchemy.orm import Session

from outbox import SubmittedJob, submit
from outbox.operations import acts, dead_letters
from outbox.store.schema import jobs
from service.job_times import first_id
from service.webhooks.announcing import delivery
from service.webhooks.kinds import TEST_EVENT, is_orderable
from service.webhooks.models import WebhookDelivery, WebhookEndpoint

State = Literal["pending", "delivered", "failed", "redelivered"]
AT_ONCE = 200
"""Deliveries that are redelivered in one transaction."""

_ARRIVED = WebhookDelivery.delivered_at.is_not(None)
_IS_REDELIVERED = WebhookDelivery.redelivered_as.is_not(None)
_IS_OPEN = jobs.c.state.in_(("queued", "running"))
_STATE = case(
    (_ARRIVED, "delivered"),
    (_IS_REDELIVERED, "redelivered"),
    (_IS_OPEN, "pending"),
    else_="failed",
)
"""The job says whether a delivery is still tried: no copy of its state can be wrong."""
_UNDELIVERED = (WebhookDelivery.delivered_at.is_(None), WebhookDelivery.redelivered_as.is_(None))
_IN_STATE: dict[str, tuple[ColumnElement[bool], ...]] = {
    "delivered": (_ARRIVED,),
    "redelivered": (~_ARRIVED, _IS_REDELIVERED),
    "pending": (*_UNDELIVERED, _IS_OPEN),
    "failed": (*_UNDELIVERED, _IS_OPEN.is_not(True)),
}


@dataclass(frozen=True, slots=True)
class Delivered:
    """A delivery, what became of it, and the dispatch of its job if that is still there."""

    row: WebhookDelivery
    state: State
    dispatch: int | None

    @property
    def id(self) -> UUID:
        """The job's id."""
        return self.row.id


def get(session: Session, delivery_id: UUID) -> Delivered | None:
    """The delivery, or None if there is none, or it was never attempted."""
    return _first(session, _deliveries().where(WebhookDelivery.id == delivery_id))


def find(
    session: Session,
    endpoint_id: UUID,
    state: State | None = None,
    *,
    limit: int,
    before: UUID | None = None,
) -> list[Delivered]:
    """The endpoint's newest deliveries in the state, from those before that one."""
    query = _deliveries().where(WebhookDelivery.endpoint_id == endpoint_id)
    query = query.where(*_IN_STATE[state] if state else ())
    if before is not None:
        query = query.where(WebhookDelivery.id < before)
    return _all(session, query.order_by(WebhookDelivery.id.desc()).limit(limit))


def find_failed(session: Session, endpoint_id: UUID, since: datetime) -> list[Delivered]:
    """Up to `AT_ONCE` failed deliveries of events since then, the oldest first, and one more.

    They are locked until the transaction ends; those that another has locked are left out. Tests
    are left out, too.
    """
    query = (
        _deliveries()
        .where(WebhookDelivery.endpoint_id == endpoint_id, *_IN_STATE["failed"])
        .where(WebhookDelivery.id >= first_id(since), WebhookDelivery.event != TEST_EVENT)
        .order_by(WebhookDelivery.id)
        .limit(AT_ONCE + 1)
        .with_for_update(of=WebhookDelivery, skip_locked=True)
    )
    return _all(session, query)


def redeliver(
    session: Session,
    endpoint: WebhookEndpoint,
    chosen: Sequence[Delivered],
    *,
    by: str,
    why: str | None,
) -> list[SubmittedJob]:
    """Submit a job for each, which sends the same event with the same `webhook-id`.

    The dead letters of their earlier jobs are closed. It is on record, with who and why, in the
    session's transaction. Returns the new jobs, in order.
    """
    new = []
    for each in chosen:
        row = each.row
        data = json.loads(row.body)["data"]
        # One that was sent in no order may be about anything.
        in_order = row.subject if is_orderable(row.subject) else None
        work = delivery(endpoint, row.event, data, in_order, row.event_id)
        new.append(job := submit(session, work, subject=row.subject, by=by))
        row.redelivered_as = job.id
    about = [f"delivery:{each.id}" for each in chosen] + [f"job:{job.id}" for job in new]
    acts.record(session, "redeliver", [f"endpoint:{endpoint.id}", *about], who=by, why=why)
    if letters := [letter for each in chosen if (letter := _open_letter(session, each))]:
        dead_letters.discard(session, letters, by=by, why="delivered again by another job")
    return new


def _open_letter(session: Session, delivered: Delivered) -> int | None:
    if delivered.dispatch is None:
        return None
    letter = dead_letters.find_of(session, delivered.id, delivered.dispatch)
    return letter.id if letter and letter.closed_at is None else None


def _deliveries() -> Select[Any]:
    return select(WebhookDelivery, _STATE.label("state"), jobs.c.dispatch).outerjoin(
        jobs, jobs.c.id == WebhookDelivery.id
    )


def _first(session: Session, query: Select[Any]) -> Delivered | None:
    return next(iter(_all(session, query)), None)


def _all(session: Session, query: Select[Any]) -> list[Delivered]:
    return [Delivered(*row) for row in session.execute(query)]
