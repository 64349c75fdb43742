"""Handlers for events that came: list them, look at one, make jobs of those that were unknown."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Body
from sqlalchemy import Select, select
from sqlalchemy.orm import defer

from outbox.http.auth.record import WhyInBody, WhyInQuery, record_look
from outbox.http.auth.scopes import Operator, Reader
from outbox.http.openapi.response_docs import problem_docs, success_doc
from outbox.http.problems import types
from outbox.http.problems.problem import ANY_REQUEST, POST_REQUEST, Problem
from outbox.http.requests.database import Tx
from outbox.http.requests.strict_json import QueryText
from outbox.http.requests.transaction import TransactionalRoute
from outbox.http.routes import cursors
from outbox.http.routes.cursors import Cursor, Limit
from outbox.operations import acts
from service.hooks.examples import TO_TAKE
from service.hooks.jobs_of_events import NoWork
from service.hooks.keeping import take, take_one
from service.hooks.models import HookEvent
from service.hooks.schemas import (
    EventsTaken,
    EventsToTake,
    HookEventInFull,
    HookEventPage,
    HookEventShown,
)

router = APIRouter(
    prefix="/v1",
    tags=["Webhooks in"],
    route_class=TransactionalRoute,
    responses=problem_docs(*ANY_REQUEST),
)


@router.get(
    "/hook-events",
    summary="List events that came",
    responses=success_doc(200, "HookEventPage") | problem_docs(types.BAD_CURSOR),
)
async def list_hook_events(
    tx: Tx,
    _: Reader,
    state: Literal["taken", "unknown"] | None = None,
    source: QueryText | None = None,
    type: QueryText | None = None,  # noqa: A002 - the parameter's name
    limit: Limit = 50,
    cursor: Cursor = None,
) -> HookEventPage:
    """Events, the newest first, without their payloads."""
    query = _filtered(state, source, type).order_by(HookEvent.id.desc()).limit(limit + 1)
    if before := cursors.read(cursor, "hook-events", UUID):
        query = query.where(HookEvent.id < before)
    rows, next_cursor = cursors.page((await tx.scalars(query)).all(), "hook-events", limit)
    shown = [HookEventShown.model_validate(event) for event in rows]
    return HookEventPage(hook_events=shown, next_cursor=next_cursor)


@router.get(
    "/hook-events/{event_id}",
    summary="Look at an event",
    responses=success_doc(200, "HookEvent") | problem_docs(types.NOT_FOUND),
)
async def get_hook_event(
    event_id: UUID, tx: Tx, by: Reader, why: WhyInQuery = None
) -> HookEventInFull:
    """An event with the body as it came, which needs the scope `payloads`."""
    event = await _get(tx, select(HookEvent).where(HookEvent.id == event_id), event_id)
    await record_look(tx, by, [f"hook-event:{event_id}"], why)
    return HookEventInFull.of(event, by)


@router.post(
    "/hook-takes",
    summary="Make jobs of unknown events",
    responses=success_doc(200, "EventsTaken") | problem_docs(*POST_REQUEST, types.BAD_CURSOR),
)
async def take_hook_events(
    wanted: Annotated[EventsToTake, Body(openapi_examples=TO_TAKE)], tx: Tx, by: Operator
) -> EventsTaken:
    """Submit the jobs of unknown events whose type this release knows, the oldest first."""
    taken = await tx.run_sync(
        take,
        source=wanted.source,
        event_type=wanted.type,
        after=cursors.read(wanted.cursor, "hook-events-to-take", UUID),
        limit=wanted.limit,
        by=str(by),
    )
    if about := [f"hook-event:{each}" for each in taken.jobs]:
        await tx.run_sync(acts.record, "hook-event-take", about, who=str(by), why=wanted.why)
    return EventsTaken.of(taken, cursors.after(taken.last, "hook-events-to-take"))


@router.post(
    "/hook-events/{event_id}/take",
    summary="Make a job of an unknown event",
    responses=success_doc(200, "HookEventShown")
    | problem_docs(*POST_REQUEST, types.NOT_FOUND, types.CONFLICT),
)
async def take_hook_event(event_id: UUID, tx: Tx, by: Operator, why: WhyInBody) -> HookEventShown:
    """Submit the job of an event that was unknown when it came, if this release makes one."""
    query = select(HookEvent).where(HookEvent.id == event_id).with_for_update()
    event = await _get(tx, query, event_id)
    if event.job_id is not None:
        raise Problem(types.CONFLICT, f"the event was taken: its job is {event.job_id}")
    try:
        await tx.run_sync(take_one, event, str(by))
    except NoWork as error:
        raise Problem(types.CONFLICT, str(error)) from None
    about = [f"hook-event:{event_id}"]
    await tx.run_sync(acts.record, "hook-event-take", about, who=str(by), why=why)
    await tx.refresh(event)
    return HookEventShown.model_validate(event)


def _filtered(state: str | None, source: str | None, event_type: str | None) -> Select[HookEvent]:
    query = select(HookEvent).options(defer(HookEvent.payload))
    if state is not None:
        is_unknown = HookEvent.job_id.is_(None)
        query = query.where(is_unknown if state == "unknown" else ~is_unknown)
    if source is not None:
        query = query.where(HookEvent.source == source)
    if event_type is not None:
        query = query.where(HookEvent.type == event_type)
    return query


async def _get(tx: Tx, query: Select[HookEvent], event_id: UUID) -> HookEvent:
    event = await tx.scalar(query)
    if event is None:
        raise Problem(types.NOT_FOUND, f"there is no event {event_id}")
    return event
