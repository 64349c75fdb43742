"""Batches as the API shows them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field

from outbox.http.base_path import with_base_path
from outbox.operations.batches import BatchRecord, State
from outbox.store.records import fields


class BatchShown(BaseModel):
    """A batch, as counted when the relay last added up how its members ended.

    `links.seal` and `links.cancel` are there while that can be done.
    """

    id: UUID
    state: State = Field(
        description="`growing` until it is sealed, `open` until all members have ended. Then "
        "`succeeded` if all have; `dead` if one is dead; else `cancelled`. `cancelling` is open, "
        "after a cancel."
    )
    generation: int = Field(
        description="1 until a dead member is replayed after the batch had settled."
    )
    members: int
    open: int
    succeeded: int
    dead: int
    cancelled: int = Field(description="How many were cancelled, or discarded when dead.")
    callbacks: dict[str, str] = Field(
        description="The kinds of the jobs that follow, by `on_success`, `on_settled` and "
        "`on_first_death`."
    )
    subject: str | None
    parent_id: UUID | None = Field(description="The batch that it is a member of.")
    submitted_by: str | None
    created_at: datetime
    sealed_at: datetime | None
    first_death_at: datetime | None
    cancelled_at: datetime | None
    settled_at: datetime | None
    links: dict[str, str]

    @classmethod
    def of(cls, batch: BatchRecord) -> "BatchShown":
        """The batch as clients see it."""
        derived = {"state": batch.state, "open": batch.open, "links": _links(batch.id, batch.state)}
        return cls.model_validate(fields(batch) | derived)


class BatchPage(BaseModel):
    """A page of batches, the newest first."""

    batches: list[BatchShown]
    next_cursor: str | None


class BatchSubmitted(BaseModel):
    """A batch that jobs were submitted to.

    `job_ids` are their ids, in their order.
    """

    id: UUID
    state: Literal["growing", "open"]
    job_ids: list[UUID]
    links: dict[str, str]

    @classmethod
    def of(cls, batch_id: UUID, job_ids: Sequence[UUID], *, sealed: bool) -> "BatchSubmitted":
        """The batch, as it is once the transaction has committed."""
        state: Literal["growing", "open"] = "open" if sealed else "growing"
        return cls(id=batch_id, state=state, job_ids=list(job_ids), links=_links(batch_id, state))


def batch_path(batch_id: UUID) -> str:
    """The path of the batch."""
    return with_base_path(f"/v1/batches/{batch_id}")


def _links(batch_id: UUID, state: State) -> dict[str, str]:
    path = batch_path(batch_id)
    links = {"self": path, "jobs": f"{path}/jobs"}
    if state == "growing":
        links["seal"] = f"{path}/seal"
    if state in ("growing", "open"):
        links["cancel"] = f"{path}/cancel"
    return links
