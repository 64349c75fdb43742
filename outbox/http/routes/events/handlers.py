"""The handler for messages to other services: list them."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from outbox.http.auth.scopes import Reader
from outbox.http.openapi.response_docs import problem_docs, success_doc
from outbox.http.problems import types
from outbox.http.problems.problem import ANY_REQUEST
from outbox.http.requests.database import Tx
from outbox.http.requests.strict_json import QueryText
from outbox.http.requests.transaction import TransactionalRoute
from outbox.http.routes import cursors
from outbox.http.routes.cursors import Cursor, Limit
from outbox.http.routes.events.schemas import EventPage, EventShown
from outbox.http.routes.moments import Moment
from outbox.operations.flow import outgoing
from outbox.operations.flow.outgoing import MessageFilter, State

router = APIRouter(
    prefix="/v1/events",
    tags=["Events"],
    route_class=TransactionalRoute,
    responses=problem_docs(*ANY_REQUEST),
)


@router.get(
    "",
    summary="List messages to other services",
    responses=success_doc(200, "EventPage") | problem_docs(types.BAD_CURSOR),
)
async def list_events(
    *,
    tx: Tx,
    _: Reader,
    exchange: QueryText | None = None,
    routing_key: QueryText | None = None,
    type_: Annotated[QueryText | None, Query(alias="type")] = None,
    state: State | None = None,
    since: Annotated[Moment | None, Query(description="Only those sent at or after it.")] = None,
    until: Annotated[Moment | None, Query(description="Only those sent before it.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> EventPage:
    """Messages to other services, the newest first, without their bodies.

    A page may be short or even empty. `next_cursor` says whether more pages follow.
    """
    wanted = MessageFilter(exchange, routing_key, type_, state, since, until)
    before = cursors.read(cursor, "events", UUID)
    page = await tx.run_sync(outgoing.find_page, wanted, limit=limit, before=before)
    shown = [EventShown.of(message) for message in page.rows]
    return EventPage(events=shown, next_cursor=cursors.after(page.after, "events"))
