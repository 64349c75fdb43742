"""Handlers for the sources of events: who may send them, and with which secret."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Body
from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from outbox.http.auth.record import WhyInQuery
from outbox.http.auth.scopes import Admin
from outbox.http.openapi.response_docs import problem_docs, success_doc
from outbox.http.problems import types
from outbox.http.problems.problem import ANY_REQUEST, POST_REQUEST, Problem
from outbox.http.requests.database import Tx
from outbox.http.requests.transaction import TransactionalRoute
from outbox.operations import acts
from outbox.operations.api_keys import Caller
from service.hooks.examples import NEW_SOURCES
from service.hooks.models import HookSource
from service.hooks.schemas import (
    HookSourceList,
    HookSourceMade,
    HookSourceShown,
    NewHookSource,
    SourcePath,
    SourceRotation,
)
from service.hooks.signatures import new_secret

router = APIRouter(
    prefix="/v1/hook-sources",
    tags=["Webhooks in"],
    route_class=TransactionalRoute,
    responses=problem_docs(*ANY_REQUEST),
)

ANEW = SourceRotation()


@router.post(
    "",
    status_code=201,
    summary="Add a source of events",
    responses=success_doc(201, "HookSourceMade") | problem_docs(*POST_REQUEST, types.CONFLICT),
)
async def create_hook_source(
    new: Annotated[NewHookSource, Body(openapi_examples=NEW_SOURCES)],
    tx: Tx,
    by: Admin,
    why: WhyInQuery = None,
) -> HookSourceMade:
    """It may send events to `links.receive`, signed with a secret that is shown only here."""
    row = {"name": new.name, "secret": new.secret or new_secret()}
    made = insert(HookSource).values(row).on_conflict_do_nothing().returning(HookSource)
    source = await tx.scalar(made)
    if source is None:
        raise Problem(types.CONFLICT, f"there is a source {new.name} already")
    await _record(tx, "hook-source-create", new.name, by, why)
    return HookSourceMade.model_validate(source)


@router.get("", summary="List sources of events", responses=success_doc(200, "HookSourceList"))
async def list_hook_sources(tx: Tx, _: Admin) -> HookSourceList:
    """All sources, by name, without their secrets. Stripe's are in the settings."""
    found = await tx.scalars(select(HookSource).order_by(HookSource.name))
    return HookSourceList(hook_sources=[HookSourceShown.model_validate(each) for each in found])


@router.post(
    "/{name}/rotate",
    summary="Rotate a source's secret",
    responses=success_doc(200, "HookSourceMade") | problem_docs(*POST_REQUEST, types.NOT_FOUND),
)
async def rotate_hook_source(
    name: SourcePath, tx: Tx, by: Admin, wanted: SourceRotation = ANEW
) -> HookSourceMade:
    """Give it a new secret, shown only here. The present one stays good for `overlap_hours`.

    The one before that is good no more.
    """
    rotated = (
        update(HookSource)
        .where(HookSource.name == name)
        .values(
            secret=wanted.secret or new_secret(),
            previous_secret=HookSource.secret,
            previous_until=func.now() + timedelta(hours=wanted.overlap_hours),
        )
        .returning(HookSource)
    )
    source = await tx.scalar(rotated)
    if source is None:
        raise _unknown(name)
    await _record(tx, "hook-source-rotate", name, by, wanted.why)
    return HookSourceMade.model_validate(source)


@router.delete(
    "/{name}",
    status_code=204,
    summary="Delete a source of events",
    responses=problem_docs(types.NOT_FOUND),
)
async def delete_hook_source(name: SourcePath, tx: Tx, by: Admin, why: WhyInQuery = None) -> None:
    """Its events are refused from now on. Those that came stay."""
    gone = delete(HookSource).where(HookSource.name == name).returning(HookSource.name)
    if await tx.scalar(gone) is None:
        raise _unknown(name)
    await _record(tx, "hook-source-delete", name, by, why)


def _unknown(name: str) -> Problem:
    return Problem(types.NOT_FOUND, f"there is no source {name}")


async def _record(tx: Tx, act: str, name: str, by: Caller, why: str | None) -> None:
    await tx.run_sync(acts.record, act, [f"hook-source:{name}"], who=str(by), why=why)
