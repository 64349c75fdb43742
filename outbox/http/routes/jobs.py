"""Handlers for jobs: list them, look at one, cancel it."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query

from outbox.http.auth.record import WhyAsked, WhyTold, note_look
from outbox.http.auth.scopes import Operator, Reader
from outbox.http.openapi.response_docs import answered, documented
from outbox.http.platform import OnPlatform
from outbox.http.problems import types
from outbox.http.problems.problem import ANY_REQUEST, POST_REQUEST, Problem
from outbox.http.requests.database import Tx
from outbox.http.requests.strict_json import Word
from outbox.http.requests.transaction import TransactionalRoute
from outbox.http.routes import cursors
from outbox.http.routes.cursors import Cursor, Limit
from outbox.http.routes.job_schemas import JobInFull, JobPage, JobShown
from outbox.operations import jobs
from outbox.operations.jobs import JobFilter, JobRecord

router = APIRouter(
    prefix="/v1/jobs",
    tags=["Jobs"],
    route_class=TransactionalRoute,
    responses=documented(*ANY_REQUEST),
)


@router.get(
    "",
    summary="List jobs",
    responses=answered(200, "JobPage") | documented(types.BAD_CURSOR),
)
async def list_jobs(
    tx: Tx,
    by: Reader,
    platform: OnPlatform,
    state: Annotated[
        Literal["queued", "running", "succeeded", "dead", "cancelled"] | None,
        Query(description="Scheduled jobs are among the queued ones."),
    ] = None,
    kind: Word | None = None,
    queue: Word | None = None,
    subject: Word | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    why: WhyAsked = None,
) -> JobPage:
    """Jobs, the newest first.

    A page may be short, or empty: `next_cursor` says whether more follow.
    """
    wanted = JobFilter(state, kind, queue, subject)
    before = cursors.read(cursor, "jobs", UUID)
    page = await tx.run_sync(jobs.find_page, wanted, limit=limit, before=before)
    await note_look(tx, by, (f"job:{job.id}" for job in page.rows if job.shows_values), why)
    shown = [JobShown.of(job, platform.kinds, by) for job in page.rows]
    return JobPage(jobs=shown, next_cursor=cursors.after(page.after, "jobs"))


@router.get(
    "/{job_id}",
    summary="Look at a job",
    responses=answered(200, "JobInFull") | documented(types.NOT_FOUND),
)
async def get_job(
    job_id: UUID, tx: Tx, by: Reader, platform: OnPlatform, why: WhyAsked = None
) -> JobInFull:
    """A job with its result and all its attempts, the failed ones with their errors."""
    job = await _get(tx, job_id)
    await note_look(tx, by, [f"job:{job_id}"], why)
    attempts = await tx.run_sync(jobs.attempts, job_id)
    return JobInFull.of_attempts(job, attempts, platform.kinds, by)


@router.post(
    "/{job_id}/cancel",
    status_code=202,
    summary="Cancel a job",
    responses=answered(202, "JobCancelled")
    | documented(*POST_REQUEST, types.NOT_FOUND, types.CONFLICT),
)
async def cancel_job(
    job_id: UUID, tx: Tx, by: Operator, platform: OnPlatform, why: WhyTold
) -> JobShown:
    """Cancel a queued job at once; a running one finishes its attempt, and gets no other."""
    cancelled = await tx.run_sync(jobs.cancel, job_id, by=str(by), why=why)
    job = await _get(tx, job_id)
    if cancelled is None:
        raise Problem(types.CONFLICT, f"the job has ended: it is {job.state}")
    await note_look(tx, by, [f"job:{job_id}"], why)
    return JobShown.of(job, platform.kinds, by)


async def _get(tx: Tx, job_id: UUID) -> JobRecord:
    job = await tx.run_sync(jobs.get, job_id)
    if job is None:
        raise Problem(types.NOT_FOUND, f"there is no job {job_id}")
    return job
