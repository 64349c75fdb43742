"""The handler that lists jobs that are late, and says why."""

from dataclasses import asdict
from datetime import datetime
from typing import Literal
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import BaseModel

from outbox import overdue
from service.auth import Reader
from service.cursors import Limit
from service.database import Tx
from service.job_shapes import job_path
from service.kinds import KINDS
from service.problems import ANY_REQUEST
from service.response_docs import answered, documented
from service.transaction import TransactionalRoute

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
async def list_overdue_jobs(tx: Tx, _: Reader, request: Request, limit: Limit = 50) -> OverdueJobs:
    """Jobs queued for minutes after their time, past their time limit, or without their worker."""
    silence = request.app.state.settings.worker_silence
    found = await tx.run_sync(overdue.find, KINDS, silence=silence, limit=limit)
    return OverdueJobs(
        overdue_jobs=[OverdueJob(**asdict(job), links={"self": job_path(job.id)}) for job in found]
    )
