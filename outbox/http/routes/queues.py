"""The handler that lists the queues, with how many jobs each has."""

from dataclasses import asdict

from fastapi import APIRouter
from pydantic import BaseModel, Field

from outbox.http.auth.scopes import Reader
from outbox.http.openapi.response_docs import problem_docs, success_doc
from outbox.http.platform import OnPlatform
from outbox.http.problems.problem import ANY_REQUEST
from outbox.http.requests.database import Tx
from outbox.http.requests.transaction import TransactionalRoute
from outbox.operations import status
from outbox.operations.status import QueueStatus

router = APIRouter(
    prefix="/v1/queues",
    tags=["Service"],
    route_class=TransactionalRoute,
    responses=problem_docs(*ANY_REQUEST),
)


class QueueShown(BaseModel):
    """A queue, and how many jobs it has in each state."""

    name: str
    due: int = Field(description="Due, and not yet published to the broker.")
    high: int = Field(description="Due jobs with priority `high`.")
    normal: int = Field(description="Due jobs with priority `normal`.")
    low: int = Field(description="Due jobs with priority `low`.")
    oldest_seconds: float | None = Field(
        description="For how long the oldest due job has waited to be published."
    )
    scheduled: int = Field(description="Queued for later, because of `run_at` or a retry.")
    queued: int = Field(description="All queued jobs: due, scheduled, and those in the broker.")
    running: int
    overdue: int = Field(description="`GET /v1/overdue-jobs` lists them.")
    dead: int = Field(description="Open dead letters, foreign messages included.")

    @classmethod
    def of(cls, queue: QueueStatus) -> "QueueShown":
        """The queue as clients see it."""
        return cls.model_validate({"name": queue.queue, "due": queue.due, **asdict(queue)})


class QueueList(BaseModel):
    """All queues, in order of their names."""

    queues: list[QueueShown]


@router.get("", summary="List queues", responses=success_doc(200, "QueueList"))
async def list_queues(tx: Tx, _: Reader, platform: OnPlatform) -> QueueList:
    """The queues of all kinds, and any other queue that holds something, as Postgres knows them."""
    silence = platform.settings.worker_silence
    found = await tx.run_sync(status.queues, platform.kinds, silence)
    return QueueList(queues=[QueueShown.of(queue) for queue in found])
