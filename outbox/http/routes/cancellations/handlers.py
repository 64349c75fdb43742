"""Handlers that cancel many jobs: list which, look at the list, cancel its jobs piece by piece."""

from typing import Annotated

from fastapi import APIRouter, Path, Response

from outbox.http.auth.record import WhyInBody
from outbox.http.auth.scopes import Operator, Reader
from outbox.http.openapi.response_docs import problem_docs, success_doc
from outbox.http.problems import types
from outbox.http.problems.problem import ANY_REQUEST, POST_REQUEST, Problem
from outbox.http.requests.database import Tx
from outbox.http.requests.transaction import TransactionalRoute
from outbox.http.routes import cursors
from outbox.http.routes.cancellations.schemas import (
    CancellationShown,
    JobsCancelled,
    JobsListed,
    NewCancellation,
    cancellation_path,
)
from outbox.http.routes.cursors import Cursor, Limit
from outbox.operations import cancellations, jobs
from outbox.operations.cancellations import PIECE, Cancellation

router = APIRouter(
    prefix="/v1/cancellations",
    tags=["Jobs"],
    route_class=TransactionalRoute,
    responses=problem_docs(*ANY_REQUEST),
)

CancellationId = Annotated[int, Path(ge=1, le=2**63 - 1)]


@router.post(
    "",
    status_code=201,
    summary="List jobs to cancel",
    response_description="The list is stored, and nothing is cancelled yet; Location is its path",
    responses=success_doc(201, "CancellationShown", "Location")
    | problem_docs(*POST_REQUEST, types.NOT_FOUND),
)
async def create_cancellation(
    new: NewCancellation, tx: Tx, by: Operator, response: Response
) -> CancellationShown:
    """Find the jobs to cancel, and keep the list. Nothing is cancelled yet.

    Look at the list; then post to `links.continue` until an answer has none.
    """
    ids = new.job_ids or await tx.run_sync(jobs.find_open, new.wanted, new.limit)
    if not ids:
        raise Problem(types.NOT_FOUND, "no job that has not ended matches")
    listed = list(dict.fromkeys(ids))
    act_id = await tx.run_sync(cancellations.record, listed, by=str(by), why=new.why)
    response.headers["Location"] = cancellation_path(act_id)
    return await _shown(tx, await _get(tx, act_id))


@router.get(
    "/{cancellation_id}",
    summary="Look at a list of jobs to cancel",
    responses=success_doc(200, "CancellationShown") | problem_docs(types.NOT_FOUND),
)
async def get_cancellation(cancellation_id: CancellationId, tx: Tx, _: Reader) -> CancellationShown:
    """How many of its jobs are cancelled, and how many are left."""
    return await _shown(tx, await _get(tx, cancellation_id))


@router.get(
    "/{cancellation_id}/jobs",
    summary="List what became of the jobs to cancel",
    responses=success_doc(200, "JobsListed") | problem_docs(types.NOT_FOUND, types.BAD_CURSOR),
)
async def list_jobs_to_cancel(
    cancellation_id: CancellationId, tx: Tx, _: Reader, limit: Limit = 50, cursor: Cursor = None
) -> JobsListed:
    """The jobs in the order of the list, each with what has become of it by now."""
    await _get(tx, cancellation_id)
    of = f"the jobs of cancellation {cancellation_id}"
    after = cursors.read(cursor, of, int) or 0
    found = await tx.run_sync(cancellations.page, cancellation_id, after=after, limit=limit + 1)
    last = found[limit - 1].place if len(found) > limit else None
    return JobsListed.of(found[:limit], cursors.after(last, of))


@router.post(
    "/{cancellation_id}/continue",
    summary="Cancel the next jobs of a list",
    responses=success_doc(200, "JobsCancelled") | problem_docs(*POST_REQUEST, types.NOT_FOUND),
)
async def continue_cancellation(
    cancellation_id: CancellationId, tx: Tx, by: Operator, why: WhyInBody
) -> JobsCancelled:
    """Cancel the next 500 jobs of the list that are open, and tell what became of each.

    Queued ones are cancelled at once. The actors of running ones are interrupted within a second.
    Without `why` it is that of the list.
    """
    found = await _get(tx, cancellation_id)
    ids = await tx.run_sync(cancellations.left, found.id, most=PIECE)
    reason = why or found.why
    done = await tx.run_sync(cancellations.cancel, ids, by=str(by), why=reason) if ids else {}
    return JobsCancelled.of(found.id, done, goes_on=len(ids) == PIECE)


async def _get(tx: Tx, cancellation_id: int) -> Cancellation:
    found = await tx.run_sync(cancellations.get, cancellation_id)
    if found is None:
        raise Problem(types.NOT_FOUND, f"there is no cancellation {cancellation_id}")
    return found


async def _shown(tx: Tx, found: Cancellation) -> CancellationShown:
    return CancellationShown.of(found, await tx.run_sync(cancellations.count, found.id))
