"""The handler that submits a job of a kind that is open to clients."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Body, Response
from fastapi.openapi.models import Example

from outbox.http.auth.scopes import Submitter, demand
from outbox.http.openapi.response_docs import answered, documented
from outbox.http.problems.problem import ANY_REQUEST, POST_REQUEST
from outbox.http.requests.database import Tx
from outbox.http.requests.transaction import TransactionalRoute
from outbox.http.routes.job_schemas import JobSummary, job_path
from outbox.http.routes.new_job import AnyNewJob, new_job
from outbox.kinds import Kinds, Work
from outbox.operations.api_keys import Scope
from outbox.submission.submit import submit

NeededScope = Callable[[Work[Any]], Scope | None]
"""The scope that a key needs besides `submit`, for this very work."""


def create_router(
    kinds: Kinds, needed_scope: NeededScope, examples: dict[str, Example]
) -> APIRouter:
    """A router whose one handler takes jobs of these kinds."""
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
        responses=answered(202, "JobSummary", "Location", "Retry-After")
        | documented(*POST_REQUEST),
    )
    async def submit_job(
        new: Annotated[AnyNewJob, Body(openapi_examples=examples)],
        tx: Tx,
        by: Submitter,
        response: Response,
    ) -> JobSummary:
        """Store a job of a kind that is open to clients. It runs although this process may die.

        Some jobs need another scope besides `submit`: who attaches documents to a mail, say, needs
        `read`, as for downloading them.
        """
        work = new.work()
        if (scope := needed_scope(work)) is not None:
            demand(by, scope)
        job = await submit(tx, work, run_at=new.held_back_until(), priority=new.level(), by=str(by))
        response.headers.update({"Location": job_path(job.id), "Retry-After": "1"})
        return JobSummary.brief(job)

    submit_job.__annotations__["new"] = Annotated[new_job(kinds), Body(openapi_examples=examples)]
    return router
