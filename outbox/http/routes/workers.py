"""The handler that lists the workers."""

from fastapi import APIRouter
from pydantic import BaseModel, Field

from outbox.http.auth.scopes import Reader
from outbox.http.openapi.response_docs import problem_docs, success_doc
from outbox.http.platform import OnPlatform
from outbox.http.problems.problem import ANY_REQUEST
from outbox.http.requests.database import Tx
from outbox.http.requests.transaction import TransactionalRoute
from outbox.operations import status

router = APIRouter(
    prefix="/v1/workers",
    tags=["Service"],
    route_class=TransactionalRoute,
    responses=problem_docs(*ANY_REQUEST),
)


class WorkerShown(BaseModel):
    """A worker process."""

    name: str
    queues: list[str]
    threads: int = Field(description="How many `def` actors it runs at once.")
    tasks: int = Field(description="How many `async def` actors it runs at once.")
    silent_seconds: float = Field(description="The time since its last heartbeat.")
    alive: bool = Field(
        description="Whether its last heartbeat is recent. Otherwise it counts as dead, and its "
        "jobs are rescued."
    )


class WorkerList(BaseModel):
    """All workers, in order of their names."""

    workers: list[WorkerShown]


@router.get("", summary="List workers", responses=success_doc(200, "WorkerList"))
async def list_workers(tx: Tx, _: Reader, platform: OnPlatform) -> WorkerList:
    """The worker processes: those that run, and those that have stopped without saying so."""
    silence = platform.settings.worker_silence
    found = await tx.run_sync(status.workers)
    shown = [
        WorkerShown(
            name=each.worker,
            queues=each.queues,
            threads=each.threads,
            tasks=each.tasks,
            silent_seconds=each.silent_seconds,
            alive=each.is_alive(silence),
        )
        for each in found
    ]
    return WorkerList(workers=shown)
