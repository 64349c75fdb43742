"""The handler that lists overdue jobs, and says why each is late."""

from dataclasses import asdict
from datetime import datetime
from typing import Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel

from outbox.http.auth.scopes import Reader
from outbox.http.openapi.response_docs import problem_docs, success_doc
from outbox.http.platform import OnPlatform
from outbox.http.problems.problem import ANY_REQUEST
from outbox.http.requests.database import Tx
from outbox.http.requests.transaction import TransactionalRoute
from outbox.http.routes.cursors import Limit
from outbox.http.routes.jobs.schemas import job_path
from outbox.operations import overdue

router = APIRouter(
    prefix="/v1/overdue-jobs",
    tags=["Jobs"],
    route_class=TransactionalRoute,
    responses=problem_docs(*ANY_REQUEST),
)


class OverdueJob(BaseModel):
    """A job that is late.

    `since` is when it should have started or workers first refused it; if it is running, when it
    started.
    """

    id: UUID
    kind: str
    queue: str
    state: Literal["queued", "running"]
    since: datetime
    why: str
    links: dict[str, str]


class OverdueJobs(BaseModel):
    """Overdue jobs, the longest overdue first."""

    overdue_jobs: list[OverdueJob]


@router.get("", summary="List overdue jobs", responses=success_doc(200, "OverdueJobs"))
async def list_overdue_jobs(
    tx: Tx, _: Reader, platform: OnPlatform, limit: Limit = 50
) -> OverdueJobs:
    """Jobs queued minutes past their time, running past their limit, or without a live worker."""
    silence = platform.settings.worker_silence
    found = await tx.run_sync(overdue.find, platform.kinds, silence=silence, limit=limit)
    return OverdueJobs(
        overdue_jobs=[OverdueJob(**asdict(job), links={"self": job_path(job.id)}) for job in found]
    )
