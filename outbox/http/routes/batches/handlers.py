"""Handlers for batches: list them, look at one and its members, seal it, cancel it."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query

from outbox.http.auth.record import WhyInBody, WhyInQuery, record_look
from outbox.http.auth.scopes import Operator, Reader
from outbox.http.openapi.response_docs import problem_docs, success_doc
from outbox.http.platform import OnPlatform
from outbox.http.problems import types
from outbox.http.problems.problem import ANY_REQUEST, POST_REQUEST, Problem
from outbox.http.requests.database import Tx
from outbox.http.requests.strict_json import QueryText
from outbox.http.requests.transaction import TransactionalRoute
from outbox.http.routes import cursors
from outbox.http.routes.batches.schemas import BatchPage, BatchShown
from outbox.http.routes.cursors import Cursor, Limit
from outbox.http.routes.jobs.schemas import JobPage, JobShown
from outbox.operations import batches, jobs
from outbox.operations.batches import BatchFilter, BatchRecord
from outbox.operations.jobs import JobFilter

router = APIRouter(
    prefix="/v1/batches",
    tags=["Batches"],
    route_class=TransactionalRoute,
    responses=problem_docs(*ANY_REQUEST),
)
ACT = problem_docs(*POST_REQUEST, types.NOT_FOUND, types.CONFLICT)


@router.get(
    "",
    summary="List batches",
    responses=success_doc(200, "BatchPage") | problem_docs(types.BAD_CURSOR),
)
async def list_batches(
    *,
    tx: Tx,
    _: Reader,
    is_open: Annotated[
        bool | None,
        Query(alias="open", description="`true` lists those that have not settled."),
    ] = None,
    subject: QueryText | None = None,
    parent_id: UUID | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> BatchPage:
    """Batches, the newest first.

    A page may be short or even empty. `next_cursor` says whether more pages follow.
    """
    wanted = BatchFilter(is_open, subject, parent_id)
    before = cursors.read(cursor, "batches", UUID)
    page = await tx.run_sync(batches.find_page, wanted, limit=limit, before=before)
    shown = [BatchShown.of(batch) for batch in page.rows]
    return BatchPage(batches=shown, next_cursor=cursors.after(page.after, "batches"))


@router.get(
    "/{batch_id}",
    summary="Look at a batch",
    responses=success_doc(200, "BatchShown") | problem_docs(types.NOT_FOUND),
)
async def get_batch(batch_id: UUID, tx: Tx, _: Reader) -> BatchShown:
    """A batch with its counts and its generation."""
    return BatchShown.of(await _get(tx, batch_id))


@router.get(
    "/{batch_id}/jobs",
    summary="List a batch's jobs",
    responses=success_doc(200, "JobPage") | problem_docs(types.NOT_FOUND, types.BAD_CURSOR),
)
async def list_members(
    batch_id: UUID,
    tx: Tx,
    by: Reader,
    platform: OnPlatform,
    state: Literal["scheduled", "queued", "running", "succeeded", "dead", "cancelled"]
    | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    why: WhyInQuery = None,
) -> JobPage:
    """The jobs that are members, the newest first."""
    await _get(tx, batch_id)
    of = f"the jobs of batch {batch_id}"
    wanted = JobFilter(state=state, batch_id=batch_id)
    before = cursors.read(cursor, of, UUID)
    page = await tx.run_sync(jobs.find_page, wanted, limit=limit, before=before)
    await record_look(tx, by, (f"job:{job.id}" for job in page.rows if job.shows_values), why)
    shown = [JobShown.of(job, platform.kinds, by) for job in page.rows]
    return JobPage(jobs=shown, next_cursor=cursors.after(page.after, of))


@router.post(
    "/{batch_id}/seal", summary="Seal a batch", responses=success_doc(200, "BatchShown") | ACT
)
async def seal_batch(batch_id: UUID, tx: Tx, by: Operator, why: WhyInBody) -> BatchShown:
    """End the growth of a batch. It settles once no member is open."""
    if not await tx.run_sync(batches.seal, batch_id, by=str(by), why=why):
        batch = await _get(tx, batch_id)
        raise Problem(types.CONFLICT, f"the batch is sealed: it is {batch.state}")
    return BatchShown.of(await _get(tx, batch_id))


@router.post(
    "/{batch_id}/cancel",
    status_code=202,
    summary="Cancel a batch",
    responses=success_doc(202, "BatchCancelled") | ACT,
)
async def cancel_batch(batch_id: UUID, tx: Tx, by: Operator, why: WhyInBody) -> BatchShown:
    """Cancel what has not ended of a batch, and seal it.

    Queued members are cancelled soon. Running ones are asked to stop.
    """
    if not await tx.run_sync(batches.cancel, batch_id, by=str(by), why=why):
        batch = await _get(tx, batch_id)
        raise Problem(types.CONFLICT, f"the batch cannot be cancelled: it is {batch.state}")
    return BatchShown.of(await _get(tx, batch_id))


async def _get(tx: Tx, batch_id: UUID) -> BatchRecord:
    batch = await tx.run_sync(batches.get, batch_id)
    if batch is None:
        raise Problem(types.NOT_FOUND, f"there is no batch {batch_id}")
    return batch
