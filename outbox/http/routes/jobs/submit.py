"""The handler that submits a job of a kind that is open to clients."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Body, Response
from fastapi.openapi.models import Example

from outbox.http.auth.scopes import Submitter, require_scope
from outbox.http.openapi.response_docs import problem_docs, success_doc
from outbox.http.problems.problem import ANY_REQUEST, POST_REQUEST
from outbox.http.requests.database import Tx
from outbox.http.requests.transaction import TransactionalRoute
from outbox.http.routes.jobs.handlers import find_job
from outbox.http.routes.jobs.new_job import AnyNewJob
from outbox.http.routes.jobs.schemas import JobSummary, job_path
from outbox.kinds import Work
from outbox.operations.api_keys import Scope
from outbox.submission.pending import flush_jobs
from outbox.submission.submit import submit

_EXISTED = success_doc(200, "JobSummary", "Location")[200] | {
    "model": JobSummary,
    "description": "The kind is unique, and this job holds the key already: no other was stored",
}

NeededScope = Callable[[Work[Any]], Scope | None]
"""Gives the scope that a key needs for this work besides `submit`, or None."""


def create_router(
    model: type[AnyNewJob], needed_scope: NeededScope, examples: dict[str, Example]
) -> APIRouter:
    """A router whose only handler submits jobs of this model."""
    router = APIRouter(
        prefix="/v1/jobs",
        tags=["Jobs"],
        route_class=TransactionalRoute,
        responses=problem_docs(*ANY_REQUEST),
    )

    @router.post(
        "",
        status_code=202,
        summary="Submit a job",
        response_description="The job is stored and will run; Location is the path to watch it at",
        responses=success_doc(202, "JobSummary", "Location", "Retry-After")
        | {200: _EXISTED}
        | problem_docs(*POST_REQUEST),
    )
    async def submit_job(
        new: Annotated[AnyNewJob, Body(openapi_examples=examples)],
        tx: Tx,
        by: Submitter,
        response: Response,
    ) -> JobSummary:
        """Store a job of a kind that is open to clients. It will run even if this process dies.

        Of a unique kind there may be such a job already: then the answer is that job, with the
        status 200. Its Location is the path to watch it at.

        Some jobs need another scope besides `submit`. To attach documents to a mail, for example, a
        key needs `read`, as it does to download them.
        """
        work = new.work()
        if (scope := needed_scope(work)) is not None:
            require_scope(by, scope)
        job = submit(tx, work, **new.options(str(by)))
        if work.kind.unique:
            await tx.run_sync(flush_jobs)
        response.headers["Location"] = job_path(job.id)
        if job.is_duplicate:
            response.status_code = 200
            return JobSummary.brief(await find_job(tx, job.id))
        response.headers["Retry-After"] = "1"
        return JobSummary.brief(job)

    submit_job.__annotations__["new"] = Annotated[model, Body(openapi_examples=examples)]
    return router
