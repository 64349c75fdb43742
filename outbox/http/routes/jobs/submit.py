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
from outbox.http.routes.jobs.new_job import AnyNewJob
from outbox.http.routes.jobs.schemas import JobSummary, job_path
from outbox.kinds import Work
from outbox.operations.api_keys import Scope
from outbox.submission.submit import submit

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
        | problem_docs(*POST_REQUEST),
    )
    async def submit_job(
        new: Annotated[AnyNewJob, Body(openapi_examples=examples)],
        tx: Tx,
        by: Submitter,
        response: Response,
    ) -> JobSummary:
        """Store a job of a kind that is open to clients. It will run even if this process dies.

        Some jobs need another scope besides `submit`. To attach documents to a mail, for example, a
        key needs `read`, as it does to download them.
        """
        work = new.work()
        if (scope := needed_scope(work)) is not None:
            require_scope(by, scope)
        job = submit(tx, work, **new.options(str(by)))
        response.headers.update({"Location": job_path(job.id), "Retry-After": "1"})
        return JobSummary.brief(job)

    submit_job.__annotations__["new"] = Annotated[model, Body(openapi_examples=examples)]
    return router
