"""The handler that lists jobs that are late, and says why."""

from dataclasses import asdict
from datetime import datetime
from typing import Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel

from outbox.http.auth.scopes import Reader
from outbox.http.openapi.response_docs import answered, documented
from outbox.http.platform import OnPlatform
from outbox.http.problems.problem import ANY_REQUEST
from outbox.http.requests.database import Tx
from outbox.http.requests.transaction import TransactionalRoute
from outbox.http.routes.cursors import Limit
from outbox.http.routes.job_schemas import job_path
from outbox.operations import overdue

router = APIRouter(
    prefix="/v1/overdue-jobs",
    tags=["Jobs"],
    route_class=TransactionalRoute,
    responses=documented(*ANY_REQUEST),
)


class OverdueJob(BaseModel):
    """A job that is late. `since` is when it should have begun; when it began, where it runs."""

    id: UUID
    kind: str
    queue: str
    state: Literal["queued", "running"]
    since: datetime
    why: str
    links: dict[str, str]


class OverdueJobs(BaseModel):
    """Jobs that are late, the longest overdue first."""

    overdue_jobs: list[OverdueJob]


@router.get("", summary="List overdue jobs", responses=answered(200, "OverdueJobs"))
async def list_overdue_jobs(
    tx: Tx, _: Reader, platform: OnPlatform, limit: Limit = 50
) -> OverdueJobs:
    """Jobs queued for minutes after their time, past their time limit, or without their worker."""
    silence = platform.settings.worker_silence
    found = await tx.run_sync(overdue.find, platform.kinds, silence=silence, limit=limit)
    return OverdueJobs(
        overdue_jobs=[OverdueJob(**asdict(job), links={"self": job_path(job.id)}) for job in found]
    )
