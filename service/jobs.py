"""Handlers for jobs: submit one, list them, look at one, cancel it."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Body, Query, Response

from outbox import jobs, submit
from outbox.jobs import JobFilter, JobRecord
from service import cursors
from service import problem_types as types
from service.acts import WhyAsked, WhyTold, note_look
from service.api_keys import Scope
from service.auth import Operator, Reader, Submitter, demand
from service.cursors import Cursor, Limit
from service.database import Tx
from service.examples import NEW_JOBS
from service.job_shapes import JobInFull, JobPage, JobShown, JobSummary, job_path
from service.new_job import NewJob
from service.problems import ANY_REQUEST, POST_REQUEST, Problem
from service.response_docs import answered, documented
from service.strict_json import Word
from service.transaction import TransactionalRoute

router = APIRouter(
    prefix="/v1/jobs",
    tags=["Jobs"],
    route_class=TransactionalRoute,
    responses=documented(*ANY_REQUEST),
)


@router.post(
    "",
    status_code=202,
    summary="Submit a job",
    response_description="The job is stored and will run; Location is where to watch it",
    responses=answered(202, "JobSummary", "Location", "Retry-After") | documented(*POST_REQUEST),
)
async def submit_job(
    new: Annotated[NewJob, Body(openapi_examples=NEW_JOBS)],
    tx: Tx,
    by: Submitter,
    response: Response,
) -> JobSummary:
    """Store a job of a kind that is open to clients. It runs although this process may die.

    Who attaches documents to a mail needs the scope `read`, as for downloading them.
    """
    work = new.work()
    if getattr(work.payload, "attachments", None):
        demand(by, Scope.READ)
    job = await submit(tx, work, run_at=new.held_back_until(), priority=new.level(), by=str(by))
    response.headers.update({"Location": job_path(job.id), "Retry-After": "1"})
    return JobSummary.of(job)


@router.get(
    "",
    summary="List jobs",
    responses=answered(200, "JobPage") | documented(types.BAD_CURSOR),
)
async def list_jobs(
    tx: Tx,
    by: Reader,
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
    shown = [JobShown.seen(job, by) for job in page.rows]
    return JobPage(jobs=shown, next_cursor=cursors.after(page.after, "jobs"))


@router.get(
    "/{job_id}",
    summary="Look at a job",
    responses=answered(200, "JobInFull") | documented(types.NOT_FOUND),
)
async def get_job(job_id: UUID, tx: Tx, by: Reader, why: WhyAsked = None) -> JobInFull:
    """A job with its result and all its attempts, the failed ones with their errors."""
    job = await _get(tx, job_id)
    await note_look(tx, by, [f"job:{job_id}"], why)
    return JobInFull.told(job, await tx.run_sync(jobs.attempts, job_id), by)


@router.post(
    "/{job_id}/cancel",
    status_code=202,
    summary="Cancel a job",
    responses=answered(202, "JobCancelled")
    | documented(*POST_REQUEST, types.NOT_FOUND, types.CONFLICT),
)
async def cancel_job(job_id: UUID, tx: Tx, by: Operator, why: WhyTold) -> JobShown:
    """Cancel a queued job at once; a running one finishes its attempt, and gets no other."""
    cancelled = await tx.run_sync(jobs.cancel, job_id, by=str(by), why=why)
    job = await _get(tx, job_id)
    if cancelled is None:
        raise Problem(types.CONFLICT, f"the job has ended: it is {job.state}")
    await note_look(tx, by, [f"job:{job_id}"], why)
    return JobShown.seen(job, by)


async def _get(tx: Tx, job_id: UUID) -> JobRecord:
    job = await tx.run_sync(jobs.get, job_id)
    if job is None:
        raise Problem(types.NOT_FOUND, f"there is no job {job_id}")
    return job
