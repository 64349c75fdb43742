"""Jobs as the API accepts them."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from outbox.http.routes.jobs.open_work import OpenWork, restricted
from outbox.http.routes.moments import Moment
from outbox.kinds import Kinds, Priority
from outbox.submission.submit import Options

LATEST = datetime(2200, 1, 1, tzinfo=UTC)
BEFORE_LATEST = "^(0|1|20|21)[0-9]"


def _before_latest(moment: datetime) -> datetime:
    if moment >= LATEST:
        raise ValueError(f"must be before the year {LATEST.year}")
    return moment


StorableMoment = Annotated[
    Moment, AfterValidator(_before_latest), Field(json_schema_extra={"pattern": BEFORE_LATEST})
]


class AnyNewJob(OpenWork):
    """A job to submit. A `run_at` in the past means now; `priority` defaults to the kind's own.

    If it has not begun by `expires_at` it is cancelled; a moment in the past means at once.
    """

    run_at: StorableMoment | None = None
    expires_at: StorableMoment | None = None
    priority: Literal["high", "normal", "low"] | None = None

    @field_validator("expires_at")
    @classmethod
    def _after_run_at(cls, expires_at: datetime | None, others: ValidationInfo) -> datetime | None:
        run_at = others.data.get("run_at")
        if expires_at and run_at and expires_at <= run_at:
            raise ValueError("must be later than run_at")
        return expires_at

    def options(self, by: str) -> Options:
        """When it runs, how soon and who asks for it, as `submit` takes it."""
        now = datetime.now(UTC)
        return {
            "run_at": self.run_at if self.run_at and self.run_at > now else None,
            "expires_at": max(self.expires_at, now) if self.expires_at else None,
            "priority": Priority[self.priority.upper()] if self.priority else None,
            "by": by,
        }


def new_job(kinds: Kinds) -> type[AnyNewJob]:
    """The model of a job that clients may submit, which must be of one of these kinds."""
    return restricted(AnyNewJob, "NewJob", "New", kinds)
