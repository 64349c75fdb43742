"""The handlers that make a batch of jobs, and add jobs to one."""

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Response

from outbox.http.auth.scopes import Submitter, require_scope
from outbox.http.openapi.response_docs import problem_docs, success_doc
from outbox.http.problems import types
from outbox.http.problems.problem import ANY_REQUEST, POST_REQUEST, Problem
from outbox.http.requests.database import Tx
from outbox.http.requests.transaction import TransactionalRoute
from outbox.http.routes.batches.new_batch import (
    CALLBACKS,
    AnyNewBatch,
    AnyNewMembers,
    Given,
    Place,
    new_batch,
    new_members,
    works_of,
)
from outbox.http.routes.batches.schemas import BatchSubmitted, batch_path
from outbox.http.routes.jobs.new_job import AnyNewJob
from outbox.http.routes.jobs.submit import NeededScope
from outbox.kinds import Kinds, Work
from outbox.operations import acts, batches
from outbox.operations.api_keys import Caller
from outbox.submission.batch import add_to_batch, batch, seal_batch
from outbox.submission.submit import submit

Works = Mapping[Place, Work[Any]]
Check = Callable[[Caller, Iterable[Work[Any]]], None]
"""Raises `Problem` 403 if the caller's key lacks a scope that one of these works needs."""
SUBMITTED = success_doc(202, "BatchSubmitted", "Location")


def create_router(kinds: Kinds, job: type[AnyNewJob], needed_scope: NeededScope) -> APIRouter:
    """A router that makes batches of such jobs, with callbacks of these kinds."""
    router = APIRouter(
        prefix="/v1/batches",
        tags=["Batches"],
        route_class=TransactionalRoute,
        responses=problem_docs(*ANY_REQUEST),
    )

    def check(by: Caller, works: Iterable[Work[Any]]) -> None:
        for work in works:
            if (scope := needed_scope(work)) is not None:
                require_scope(by, scope)

    _add_creating(router, new_batch(kinds, job), check)
    _add_adding(router, new_members(job), check)
    return router


def _add_creating(router: APIRouter, model: type[AnyNewBatch], check: Check) -> None:
    @router.post(
        "",
        status_code=202,
        summary="Submit a batch",
        response_description="Batch and members are stored; Location is the path of the batch",
        responses=SUBMITTED | problem_docs(*POST_REQUEST),
    )
    async def submit_batch(
        new: AnyNewBatch, tx: Tx, by: Submitter, response: Response
    ) -> BatchSubmitted:
        """Store a batch and its members, all or nothing. Its callbacks are submitted as it ends.

        Members and callbacks are of kinds that are open to clients. A key needs the scopes that
        each of them needs.
        """
        works = works_of(new.members() | new.callbacks())
        check(by, works.values())
        callbacks = {name: works.get((name,)) for name in CALLBACKS}
        with batch(tx, **callbacks, subject=new.subject, by=str(by), seal=new.seal) as group:
            ids = _submit(tx, new, works, by)
        return _submitted(group.id, ids, response, sealed=new.seal)

    submit_batch.__annotations__["new"] = Annotated[model, Body()]


def _add_adding(router: APIRouter, model: type[AnyNewMembers], check: Check) -> None:
    @router.post(
        "/{batch_id}/jobs",
        status_code=202,
        summary="Add jobs to a batch",
        response_description="The members are stored; Location is the path of the batch",
        responses=SUBMITTED | problem_docs(*POST_REQUEST, types.NOT_FOUND, types.CONFLICT),
    )
    async def add_members(
        batch_id: UUID, new: AnyNewMembers, tx: Tx, by: Submitter, response: Response
    ) -> BatchSubmitted:
        """Store members of a batch that grows, all or nothing, and seal it if they are the last."""
        works = works_of(new.members())
        check(by, works.values())
        await _lock(tx, batch_id, to_seal=new.seal)
        with add_to_batch(tx, batch_id):
            ids = _submit(tx, new, works, by)
        if new.seal:
            seal_batch(tx, batch_id)
            await tx.run_sync(acts.record, "seal-batch", [f"batch:{batch_id}"], who=str(by))
        return _submitted(batch_id, ids, response, sealed=new.seal)

    add_members.__annotations__["new"] = Annotated[model, Body()]


def _submit(tx: Tx, new: Given, works: Works, by: Caller) -> list[UUID]:
    return [
        submit(tx, works["jobs", place], **job.options(str(by))).id
        for place, job in enumerate(new.jobs)
    ]


async def _lock(tx: Tx, batch_id: UUID, *, to_seal: bool) -> None:
    """Hold the batch open until the commit. Raises `Problem` 404 or 409."""
    found = await tx.run_sync(batches.hold, batch_id, to_seal=to_seal)
    if found is None:
        raise Problem(types.NOT_FOUND, f"there is no batch {batch_id}")
    if found.state != "growing":
        raise Problem(types.CONFLICT, f"nothing is added to the batch: it is {found.state}")


def _submitted(
    batch_id: UUID, ids: list[UUID], response: Response, *, sealed: bool
) -> BatchSubmitted:
    response.headers["Location"] = batch_path(batch_id)
    return BatchSubmitted.of(batch_id, ids, sealed=sealed)
