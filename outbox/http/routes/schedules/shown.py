"""Schedules and their ticks as the API shows them."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from outbox.http.base_path import with_base_path
from outbox.http.routes.jobs.schemas import job_path
from outbox.kinds import Kinds, Priority
from outbox.operations.api_keys import Caller, Scope
from outbox.operations.schedules import ScheduleRecord, TickRecord
from outbox.redaction.fields import redact
from outbox.schedules.schedule import Missed, Overlap
from outbox.store.records import fields

NEXT_RUNS = 10


class ScheduleShown(BaseModel):
    """A schedule. `version` counts its changes, and is its ETag."""

    name: str
    source: Literal["code", "runtime"]
    cron: str
    zone: str
    kind: str
    queue: str
    priority: Literal["high", "normal", "low"]
    payload: dict[str, Any]
    subject: str | None
    overlap: Overlap
    missed: Missed
    catch_up_seconds: int
    jitter_seconds: int
    version: int
    paused_at: datetime | None
    next_due_at: datetime | None = Field(
        description="The earliest tick that is not on record. While the schedule is paused, its "
        "ticks are recorded as skipped."
    )
    created_at: datetime
    updated_at: datetime
    links: dict[str, str]

    @classmethod
    def of(cls, record: ScheduleRecord, kinds: Kinds, by: Caller) -> "ScheduleShown":
        """The schedule as this caller may see it."""
        return cls.model_validate(_shown(record, kinds, by))


class TickShown(BaseModel):
    """A tick that is on record: it made a job, waits for an earlier one's, or was skipped."""

    due_at: datetime
    outcome: Literal["made", "waiting", "skipped"]
    why: str | None
    job_id: UUID | None
    recorded_at: datetime
    links: dict[str, str]

    @classmethod
    def of(cls, tick: TickRecord) -> "TickShown":
        """The tick, with a link to its job."""
        links = {"job": job_path(tick.job_id)} if tick.job_id else {}
        return cls.model_validate(fields(tick) | {"links": links})


class ScheduleInFull(ScheduleShown):
    """A schedule with its next runs and its newest ticks."""

    next_runs: list[datetime]
    ticks: list[TickShown]

    @classmethod
    def of_ticks(
        cls, record: ScheduleRecord, ticks: list[TickRecord], kinds: Kinds, by: Caller
    ) -> "ScheduleInFull":
        """The schedule as this caller may see it, with these ticks."""
        more = {"next_runs": record.next_runs(NEXT_RUNS), "ticks": [*map(TickShown.of, ticks)]}
        return cls.model_validate(_shown(record, kinds, by) | more)


class SchedulePage(BaseModel):
    """A page of schedules, by name."""

    schedules: list[ScheduleShown]
    next_cursor: str | None


class TickPage(BaseModel):
    """A page of ticks, the newest first."""

    ticks: list[TickShown]
    next_cursor: str | None


class JobsMade(BaseModel):
    """The jobs that a person had a schedule make."""

    job_ids: list[UUID]


def schedule_path(name: str) -> str:
    """The path of the schedule."""
    return with_base_path(f"/v1/schedules/{name}")


def _shown(record: ScheduleRecord, kinds: Kinds, by: Caller) -> dict[str, Any]:
    path = schedule_path(record.name)
    acts = ("run", "backfill", "resume" if record.paused_at else "pause")
    links = {"self": path, "ticks": f"{path}/ticks"} | {act: f"{path}/{act}" for act in acts}
    shown = fields(record) | {"priority": Priority(record.priority).name.lower(), "links": links}
    if not by.may(Scope.PAYLOADS):
        shown["payload"] = redact(kinds.get(record.kind), record.payload)
    return shown
