"""Handlers for queues: list them with how many jobs each has, pause and resume them."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from outbox.http.auth.record import WhyInBody
from outbox.http.auth.scopes import Operator, Reader
from outbox.http.openapi.response_docs import problem_docs, success_doc
from outbox.http.platform import OnPlatform
from outbox.http.problems import types
from outbox.http.problems.problem import ANY_REQUEST, POST_REQUEST, Problem
from outbox.http.requests.database import Tx
from outbox.http.requests.transaction import TransactionalRoute
from outbox.operations import status
from outbox.operations.backlog.queue_status import QueueStatus
from outbox.operations.flow import queue_pauses
from outbox.operations.flow.queue_pauses import Pause, Refused, UnknownQueue
from outbox.store.records import fields

ACT = problem_docs(*POST_REQUEST, types.NOT_FOUND, types.CONFLICT)
Name = Annotated[str, Path(pattern=r"^[^\x00]+$", max_length=255)]

router = APIRouter(
    prefix="/v1/queues",
    tags=["Service"],
    route_class=TransactionalRoute,
    responses=problem_docs(*ANY_REQUEST),
)


class PauseShown(BaseModel):
    """Since when a queue is paused, by whom, and why."""

    since: datetime
    who: str
    why: str | None


class QueueShown(BaseModel):
    """A queue, and how many jobs it has in each state.

    Numbers that may not be exact are in `estimated`, by their names.
    """

    name: str
    due: int = Field(description="Due, not yet published to the broker, and held back by nothing.")
    high: int = Field(description="Those in `due` with priority `high`.")
    normal: int = Field(description="Those in `due` with priority `normal`.")
    low: int = Field(description="Those in `due` with priority `low`.")
    held: int = Field(description="Due, and waiting for their keys: a limit, a rate or their turn.")
    scheduled: int = Field(description="Queued for later, because of `run_at` or a retry.")
    published: int = Field(description="Published to the broker, and not begun.")
    queued: int = Field(description="All queued jobs: `due`, `held`, `scheduled` and `published`.")
    running: int
    work: int = Field(
        description="What workers could do now: `due`, `published` and `running`, and those of "
        "`held` that their keys let start; of a paused queue what was published. Scale workers by "
        "this number: the broker's queue has no more messages than the window lets in."
    )
    overdue: int = Field(description="`GET /v1/overdue-jobs` lists them.")
    dead: int = Field(description="Open dead letters, foreign messages included.")
    oldest_seconds: float | None = Field(
        description="For how long the oldest due job has waited to be published, or for its keys."
    )
    oldest_queued_seconds: float | None = Field(
        description="For how long the oldest queued job has been due, published or not."
    )
    workers: int = Field(description="Live worker processes that serve the queue.")
    paused: PauseShown | None = Field(
        description="Null unless somebody has paused the queue. Its queued jobs then wait, and "
        "none is overdue."
    )
    estimated: list[str] = Field(
        description="The fields whose numbers are estimates, because there are too many to count: "
        "two digits, from a sample of the backlog. Empty if all are exact."
    )

    @classmethod
    def of(cls, queue: QueueStatus) -> "QueueShown":
        """The queue as clients see it."""
        return cls.model_validate({"name": queue.queue, **queue.record()})


class PausedQueue(BaseModel):
    """A queue, and whether it is paused."""

    name: str
    paused: PauseShown | None

    @classmethod
    def of(cls, name: str, pause: Pause | None) -> "PausedQueue":
        """The queue as it is after an act."""
        return cls.model_validate({"name": name, "paused": fields(pause) if pause else None})


class QueueList(BaseModel):
    """All queues, in order of their names."""

    queues: list[QueueShown]


@router.get("", summary="List queues", responses=success_doc(200, "QueueList"))
async def list_queues(tx: Tx, _: Reader, platform: OnPlatform) -> QueueList:
    """The queues of all kinds, and any other queue that holds something, as Postgres knows them."""
    silence = platform.settings.worker_silence
    found = await tx.run_sync(status.queues, platform.kinds, silence)
    return QueueList(queues=[QueueShown.of(queue) for queue in found])


@router.post(
    "/{queue}/pause",
    summary="Pause a queue",
    responses=success_doc(200, "PausedQueue") | ACT,
)
async def pause_queue(
    queue: Name, tx: Tx, by: Operator, platform: OnPlatform, why: WhyInBody
) -> PausedQueue:
    """Publish none of its jobs until it is resumed. Messages in the broker are still run."""
    with _refusals():
        pause = await tx.run_sync(queue_pauses.pause, platform.kinds, queue, by=str(by), why=why)
    return PausedQueue.of(queue, pause)


@router.post(
    "/{queue}/resume",
    summary="Resume a queue",
    responses=success_doc(200, "PausedQueue") | ACT,
)
async def resume_queue(
    queue: Name, tx: Tx, by: Operator, platform: OnPlatform, why: WhyInBody
) -> PausedQueue:
    """Publish its jobs again, in their usual order."""
    with _refusals():
        await tx.run_sync(queue_pauses.resume, platform.kinds, queue, by=str(by), why=why)
    return PausedQueue.of(queue, None)


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except UnknownQueue as error:
        raise Problem(types.NOT_FOUND, str(error)) from None
    except Refused as error:
        raise Problem(types.CONFLICT, str(error)) from None
