"""Cancels of many jobs, as the API takes and shows them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StrictBool, model_validator

from outbox.http.auth.record import LONGEST_REASON
from outbox.http.base_path import with_base_path
from outbox.http.routes.jobs.schemas import job_path
from outbox.http.routes.moments import Moment
from outbox.operations.cancellations import Cancellation, Listed, Outcome
from outbox.operations.jobs import JobFilter

MOST_LISTED = 100_000
"""How many jobs one list holds."""
MOST_NAMED = 1_000
OPEN: Outcome = "open"

Text = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]


class NewCancellation(BaseModel):
    """Which jobs are to be cancelled: those of `job_ids`, those that match, or `all` of them.

    Of those that match and have not ended it takes the newest, up to `limit`.
    """

    model_config = ConfigDict(extra="forbid")

    job_ids: Annotated[list[UUID], Field(min_length=1, max_length=MOST_NAMED)] | None = None
    state: Literal["scheduled", "queued", "running"] | None = None
    kind: Text | None = None
    queue: Text | None = None
    subject: Text | None = None
    since: Moment | None = None
    until: Moment | None = None
    parent_id: UUID | None = None
    all: StrictBool = False
    limit: Annotated[int, Field(ge=1, le=MOST_LISTED)] = MOST_LISTED
    why: Annotated[str, Field(max_length=LONGEST_REASON, pattern=r"^[^\x00]*$")] | None = None

    @property
    def wanted(self) -> JobFilter:
        """The filter."""
        names = ("state", "kind", "queue", "subject", "since", "until", "parent_id")
        return JobFilter(**{name: getattr(self, name) for name in names})

    @model_validator(mode="after")
    def _is_clear(self) -> "NewCancellation":
        ways = [self.job_ids is not None, self.wanted != JobFilter(), self.all]
        if sum(ways) != 1:
            raise ValueError("which jobs? Give either job_ids, or a filter such as queue, or all")
        return self


class CancellationShown(BaseModel):
    """A list of jobs to cancel, and how many of them have come to which outcome by now.

    `links.continue` is there while some are `open`: nothing is cancelled until it is posted to.
    """

    id: int
    created_at: datetime
    created_by: str
    why: str | None
    jobs: int
    open: int = Field(description="Those that are still to be cancelled.")
    cancelled: int
    asked: int = Field(description="Those that run, and whose actors are interrupted.")
    ended: int = Field(description="Those that succeeded or are dead.")
    unknown: int = Field(description="Those that are not there.")
    links: dict[str, str]

    @classmethod
    def of(cls, found: Cancellation, counts: Mapping[Outcome, int]) -> "CancellationShown":
        """The list with its counts."""
        numbers: dict[str, Any] = dict.fromkeys(
            ("open", "cancelled", "asked", "ended", "unknown"), 0
        )
        return cls(
            id=found.id,
            created_at=found.at,
            created_by=found.who,
            why=found.why,
            jobs=found.jobs,
            links=_links(found.id, goes_on=counts.get(OPEN, 0) > 0),
            **numbers | dict(counts),
        )


class JobListed(BaseModel):
    """A job of the list, and what has become of it."""

    id: UUID
    outcome: Outcome
    links: dict[str, str]

    @classmethod
    def of(cls, job_id: UUID, outcome: Outcome) -> "JobListed":
        """The job."""
        return cls(id=job_id, outcome=outcome, links={"self": job_path(job_id)})


class JobsListed(BaseModel):
    """A page of the list, in its order."""

    jobs: list[JobListed]
    next_cursor: str | None

    @classmethod
    def of(cls, page: list[Listed], next_cursor: str | None) -> "JobsListed":
        """The page."""
        shown = [JobListed.of(each.id, each.outcome) for each in page]
        return cls(jobs=shown, next_cursor=next_cursor)


class JobsCancelled(BaseModel):
    """What became of the next jobs of the list.

    `ended` had ended before. `links.continue` is there if more may be open.
    """

    id: int
    jobs: list[JobListed]
    links: dict[str, str]

    @classmethod
    def of(cls, act_id: int, done: Mapping[UUID, Outcome], *, goes_on: bool) -> "JobsCancelled":
        """The jobs."""
        shown = [JobListed.of(each, outcome) for each, outcome in done.items()]
        return cls(id=act_id, jobs=shown, links=_links(act_id, goes_on=goes_on))


def cancellation_path(act_id: int) -> str:
    """The path of the list."""
    return with_base_path(f"/v1/cancellations/{act_id}")


def _links(act_id: int, *, goes_on: bool) -> dict[str, str]:
    path = cancellation_path(act_id)
    links = {"self": path, "jobs": f"{path}/jobs"}
    return links | ({"continue": f"{path}/continue"} if goes_on else {})
