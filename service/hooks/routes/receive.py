"""Handlers that receive events. A signature on the raw body stands in for an API key."""

from typing import Any

from fastapi import APIRouter
from fastapi.concurrency import run_in_threadpool
from sqlalchemy import func, select
from starlette.requests import Request

from outbox.http.openapi.response_docs import problem_docs, success_doc
from outbox.http.problems import types
from outbox.http.requests.database import Tx
from service.hooks import signatures
from service.hooks.examples import STANDARD_EVENT, STRIPE_EVENT
from service.hooks.keeping import Kept, keep
from service.hooks.models import HookSource
from service.hooks.reading import Event, standard_event, stripe_event
from service.hooks.routes.signed_route import StandardRoute, StripeRoute, not_signed
from service.hooks.schemas import EventReceived, SourcePath

ANY_EVENT = problem_docs(
    types.SIGNATURE,
    types.TOO_LARGE,
    types.TOO_SLOW,
    types.INVALID,
    types.INTERNAL,
    types.UNAVAILABLE,
    types.OUTCOME_UNKNOWN,
)


def _described(event: dict[str, Any], *headers: str) -> dict[str, Any]:
    """What OpenAPI says of a request that FastAPI does not parse."""
    text = {"type": "string"}
    body = {"schema": {"type": "object"}, "examples": {"an event": {"value": event}}}
    return {
        "requestBody": {"required": True, "content": {"application/json": body}},
        "parameters": [
            {"name": name, "in": "header", "required": True, "schema": text} for name in headers
        ],
    }


stripe = APIRouter(prefix="/v1/hooks", tags=["Webhooks in"], route_class=StripeRoute)
standard = APIRouter(prefix="/v1/hooks", tags=["Webhooks in"], route_class=StandardRoute)


@stripe.post(
    "/stripe",
    summary="Receive an event of Stripe",
    responses=success_doc(200, "EventReceived")
    | ANY_EVENT
    | problem_docs(types.SIGNATURE, types.MALFORMED),
    openapi_extra=_described(STRIPE_EVENT, "Stripe-Signature"),
)
async def receive_stripe_event(request: Request, tx: Tx) -> EventReceived:
    """Store the event, and submit its job. Stripe signs it, so no API key is needed.

    An event that comes again gets the same answer, and does nothing. One of a type that this
    release does not know is stored all the same.
    """
    body = await request.body()
    header, known = request.headers["stripe-signature"], request.app.state.stripe_webhook_secrets
    # In a thread, so that a large body, or the import of Stripe's package, holds nobody up.
    if not await run_in_threadpool(signatures.signed_by_stripe, body, header, known):
        raise not_signed()
    return await _keep(tx, stripe_event(body))


@standard.post(
    "/{source}",
    summary="Receive an event as in Standard Webhooks",
    responses=success_doc(200, "EventReceived") | ANY_EVENT,
    openapi_extra=_described(
        STANDARD_EVENT, "webhook-id", "webhook-timestamp", "webhook-signature"
    ),
)
async def receive_event(source: SourcePath, request: Request, tx: Tx) -> EventReceived:
    """Store the event, and submit its job. Its source signs it, so no API key is needed.

    An event that comes again gets the same answer, and does nothing. One of a type that this
    release does not know is stored all the same.
    """
    body = await request.body()
    event_id, sent_at, signature = (request.headers[name] for name in signatures.STANDARD_HEADERS)
    known = await _secrets(tx, source)
    check = signatures.signed_as_standard
    if not await run_in_threadpool(check, body, event_id, sent_at, signature, known):
        raise not_signed()
    return await _keep(tx, standard_event(source, event_id, body))


async def _secrets(tx: Tx, source: str) -> list[str]:
    """The secrets that are good now; none for an unknown source."""
    is_good = HookSource.previous_until > func.now()
    row = (
        await tx.execute(
            select(HookSource.secret, HookSource.previous_secret, is_good.label("is_good")).where(
                HookSource.name == source
            )
        )
    ).first()
    if row is None:
        return []
    return [row.secret, row.previous_secret] if row.is_good else [row.secret]


async def _keep(tx: Tx, event: Event) -> EventReceived:
    kept: Kept = await tx.run_sync(keep, event)
    return EventReceived(
        id=kept.id,
        state="unknown" if kept.job_id is None else "taken",
        duplicate=kept.is_duplicate,
    )
