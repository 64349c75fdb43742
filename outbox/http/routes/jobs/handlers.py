"""Handlers for jobs: list them, look at one, cancel it."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.requests import Request

from outbox.http.auth.record import WhyInBody, WhyInQuery, record_look
from outbox.http.auth.scopes import Operator, Reader
from outbox.http.openapi.response_docs import problem_docs, success_doc
from outbox.http.platform import OnPlatform
from outbox.http.problems import types
from outbox.http.problems.problem import ANY_REQUEST, POST_REQUEST, Problem
from outbox.http.requests.database import Tx
from outbox.http.requests.strict_json import QueryText
from outbox.http.requests.transaction import TransactionalRoute
from outbox.http.requests.waiting import Wait, after_end
from outbox.http.routes import cursors
from outbox.http.routes.cursors import Cursor, Limit
from outbox.http.routes.jobs.schemas import JobInFull, JobPage, JobShown
from outbox.operations import jobs
from outbox.operations.jobs import JobFilter, JobRecord

router = APIRouter(
    prefix="/v1/jobs",
    tags=["Jobs"],
    route_class=TransactionalRoute,
    responses=problem_docs(*ANY_REQUEST),
)


@router.get(
    "",
    summary="List jobs",
    responses=success_doc(200, "JobPage") | problem_docs(types.BAD_CURSOR),
)
async def list_jobs(
    tx: Tx,
    by: Reader,
    platform: OnPlatform,
    state: Annotated[
        Literal["scheduled", "queued", "running", "succeeded", "dead", "cancelled"] | None,
        Query(
            description="`scheduled` lists queued jobs with `run_at` in the future; `queued` "
            "includes them."
        ),
    ] = None,
    kind: QueryText | None = None,
    queue: QueryText | None = None,
    subject: QueryText | None = None,
    parent: Annotated[
        UUID | None, Query(description="Only those that this job's actor submitted.")
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    why: WhyInQuery = None,
) -> JobPage:
    """Jobs, the newest first.

    A page may be short or even empty. `next_cursor` says whether more pages follow.
    """
    wanted = JobFilter(state, kind, queue, subject, parent_id=parent)
    before = cursors.read(cursor, "jobs", UUID)
    page = await tx.run_sync(jobs.find_page, wanted, limit=limit, before=before)
    await record_look(tx, by, (f"job:{job.id}" for job in page.rows if job.shows_values), why)
    shown = [JobShown.of(job, platform.kinds, by) for job in page.rows]
    return JobPage(jobs=shown, next_cursor=cursors.after(page.after, "jobs"))


@router.get(
    "/{job_id}",
    summary="Look at a job",
    responses=success_doc(200, "JobInFull") | problem_docs(types.NOT_FOUND),
)
async def get_job(
    job_id: UUID,
    request: Request,
    tx: Tx,
    by: Reader,
    platform: OnPlatform,
    wait: Wait = 0,
    why: WhyInQuery = None,
) -> JobInFull:
    """A job with its result, all its attempts, and the errors of those that failed.

    With `wait`, the answer comes when the job has ended (`finished_at` is not null), or after so
    many seconds with the job as it is then. It may come earlier, when the service is stopping: ask
    again.
    """
    async with after_end(request, platform.ended_jobs, job_id, wait):
        job = await find_job(tx, job_id)
        await record_look(tx, by, [f"job:{job_id}"], why)
        attempts = await tx.run_sync(jobs.attempts, job_id)
    return JobInFull.of_attempts(job, attempts, platform.kinds, by)


@router.post(
    "/{job_id}/cancel",
    status_code=202,
    summary="Cancel a job",
    responses=success_doc(202, "JobCancelled")
    | problem_docs(*POST_REQUEST, types.NOT_FOUND, types.CONFLICT),
)
async def cancel_job(
    job_id: UUID, tx: Tx, by: Operator, platform: OnPlatform, why: WhyInBody
) -> JobShown:
    """Cancel a queued job at once. The actor of a running one is interrupted within a second.

    Until then the job is still running. It succeeds if its actor finishes all the same.
    """
    cancelled = await tx.run_sync(jobs.cancel, job_id, by=str(by), why=why)
    job = await find_job(tx, job_id)
    if cancelled is None:
        raise Problem(types.CONFLICT, f"the job has ended: it is {job.state}")
    await record_look(tx, by, [f"job:{job_id}"], why)
    return JobShown.of(job, platform.kinds, by)


async def find_job(tx: Tx, job_id: UUID) -> JobRecord:
    """The job. Raises `Problem` 404 if there is none."""
    job = await tx.run_sync(jobs.get, job_id)
    if job is None:
        raise Problem(types.NOT_FOUND, f"there is no job {job_id}")
    return job
