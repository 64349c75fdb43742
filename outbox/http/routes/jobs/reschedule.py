"""The handler that gives a queued job another time, priority or queue."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from outbox.http.auth.record import LONGEST_REASON, record_look
from outbox.http.auth.scopes import Operator
from outbox.http.openapi.response_docs import problem_docs, success_doc
from outbox.http.platform import OnPlatform
from outbox.http.problems import types
from outbox.http.problems.problem import ANY_REQUEST, POST_REQUEST, Problem
from outbox.http.requests.database import Tx
from outbox.http.requests.transaction import TransactionalRoute
from outbox.http.routes.jobs.handlers import find_job
from outbox.http.routes.jobs.new_job import StorableMoment
from outbox.http.routes.jobs.schemas import JobShown
from outbox.kinds import QUEUE, Priority
from outbox.operations.jobs import JobRecord
from outbox.operations.reschedule import queue_name, reschedule

router = APIRouter(
    prefix="/v1/jobs",
    tags=["Jobs"],
    route_class=TransactionalRoute,
    responses=problem_docs(*ANY_REQUEST),
)


class JobChanges(BaseModel):
    """What is to change. What is not given stays; a `run_at` in the past means now."""

    model_config = ConfigDict(extra="forbid")

    run_at: StorableMoment | None = None
    priority: Literal["high", "normal", "low"] | None = None
    queue: (
        Annotated[
            str,
            AfterValidator(queue_name),
            Field(json_schema_extra={"pattern": f"^{QUEUE.pattern}$"}),
        ]
        | None
    ) = None
    why: Annotated[str, Field(max_length=LONGEST_REASON)] | None = None

    def level(self) -> Priority | None:
        """The priority, if it is to change."""
        return Priority[self.priority.upper()] if self.priority else None


@router.post(
    "/{job_id}/reschedule",
    summary="Reschedule a job",
    responses=success_doc(200, "JobRescheduled")
    | problem_docs(*POST_REQUEST, types.NOT_FOUND, types.CONFLICT),
)
async def reschedule_job(
    job_id: UUID, new: JobChanges, tx: Tx, by: Operator, platform: OnPlatform
) -> JobShown:
    """Give a queued job another time, priority or queue.

    A queue's workers have to know the job's kind.
    """
    done = await tx.run_sync(
        reschedule,
        job_id,
        run_at=new.run_at,
        priority=new.level(),
        queue=new.queue,
        by=str(by),
        why=new.why,
    )
    job = await find_job(tx, job_id)
    if not done:
        raise Problem(types.CONFLICT, _why_not(job))
    await record_look(tx, by, [f"job:{job_id}"], new.why)
    return JobShown.of(job, platform.kinds, by)


def _why_not(job: JobRecord) -> str:
    if job.state == "queued":
        return "the job would expire before it may run"
    return f"only queued jobs can be rescheduled: it is {job.state}"
