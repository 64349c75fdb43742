"""Month ends in requests and responses of the API."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from outbox import SubmittedJob
from outbox.http.routes.jobs.schemas import JobSummary
from service.closings.kinds import Stage
from service.closings.models import Closing
from service.closings.month import Month
from service.closings.progress import Counts


class NewClosing(BaseModel):
    """The month to close."""

    model_config = ConfigDict(extra="forbid")

    month: Month = Field(
        description="In UTC. Invoices left over from earlier months are taken too."
    )


class StageShown(BaseModel):
    """The jobs of a stage, as last counted. Those that are dead can be replayed."""

    jobs: int
    succeeded: int
    dead: int
    cancelled: int
    open: int

    @classmethod
    def of(cls, counts: Counts) -> "StageShown":
        """The counts as clients see them."""
        return cls(
            jobs=counts.jobs,
            succeeded=counts.succeeded,
            dead=counts.dead,
            cancelled=counts.cancelled,
            open=counts.open,
        )


class NotCharged(BaseModel):
    """An invoice for which there was nothing to charge, or nothing to charge it by."""

    invoice_id: UUID
    why: str


class ClosingSummary(BaseModel):
    """A month end in brief. `completed_at` is set once all was done for every invoice."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    month: str
    created_at: datetime
    completed_at: datetime | None


class ClosingShown(ClosingSummary):
    """A month end.

    `running` while jobs are open, then `complete`, or `incomplete` if some failed:
    `links.dead_letters` lists these, and a replay completes the month.
    """

    state: Literal["running", "incomplete", "complete"]
    invoices: int
    stages: dict[Stage, StageShown]
    not_charged: Annotated[
        list[NotCharged],
        Field(description="Invoices that are only rendered and mailed; the first 100 of them."),
    ]
    links: dict[str, str]

    @classmethod
    def of(
        cls,
        closing: Closing,
        invoices: int,
        stages: dict[Stage, Counts],
        not_charged: list[NotCharged],
        *,
        is_going_on: bool,
    ) -> "ClosingShown":
        """The closing with the counts of its stages."""
        summary = ClosingSummary.model_validate(closing)
        is_running = is_going_on or any(each.is_open for each in stages.values())
        return cls(
            **summary.model_dump(),
            state="complete" if closing.completed_at else "running" if is_running else "incomplete",
            invoices=invoices,
            stages={stage: StageShown.of(each) for stage, each in stages.items()},
            not_charged=not_charged,
            links=_links(closing),
        )


class ClosingAccepted(ClosingSummary):
    """A month end that has been asked for, with its first job."""

    job: JobSummary
    links: dict[str, str]

    @classmethod
    def with_job(cls, closing: Closing, job: SubmittedJob) -> "ClosingAccepted":
        """The closing and the job that begins it, or goes on with it."""
        summary = ClosingSummary.model_validate(closing)
        return cls(**summary.model_dump(), job=JobSummary.brief(job), links=_links(closing))


class ClosingPage(BaseModel):
    """A page of month ends, newest first."""

    closings: list[ClosingSummary]
    next_cursor: str | None


def closing_path(closing_id: UUID) -> str:
    """The path of the closing's URL."""
    return f"/v1/closings/{closing_id}"


def _links(closing: Closing) -> dict[str, str]:
    path = closing_path(closing.id)
    links = {"self": path, "resume": f"{path}/resume"}
    if closing.batch_id is not None:
        links["batch"] = f"/v1/batches/{closing.batch_id}"
        links["dead_letters"] = f"/v1/dead-letters?batch={closing.batch_id}"
    if closing.report_id is not None:
        links["report"] = f"/v1/reports/{closing.report_id}"
    return links
