"""Schedules as the API accepts them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from outbox.http.auth.record import LONGEST_REASON
from outbox.http.problems.problem import field_error, invalid
from outbox.http.routes.moments import Moment
from outbox.kinds import Kinds, Work
from outbox.operations.schedules import ScheduleRecord
from outbox.schedules.schedule import NAME, Missed, Overlap, Schedule

Text = Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")]
Seconds = Annotated[int, Field(ge=0, le=366 * 24 * 3600)]
Payload = Annotated[dict[str, Any], Field(max_length=100)]
Why = Annotated[str, Field(max_length=LONGEST_REASON, pattern=r"^[^\x00]*$")]


class NewSchedule(BaseModel):
    """A schedule to create. `cron` has five fields, or six with seconds first."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(pattern=f"^{NAME.pattern}$")]
    cron: Text
    zone: Text = "UTC"
    kind: Text
    payload: Payload
    overlap: Overlap = Overlap.SKIP
    missed: Missed = Missed.RUN_ONCE
    catch_up_seconds: Seconds = 3600
    jitter_seconds: Seconds = 0
    subject: Text | None = None
    why: Why | None = None

    def schedule(self, work: Work[Any]) -> Schedule:
        """Raises `Problem` 422 for what cannot be."""
        with refused_fields():
            return Schedule(
                name=self.name,
                cron=self.cron,
                work=work,
                zone=self.zone,
                overlap=self.overlap,
                missed=self.missed,
                catch_up=timedelta(seconds=self.catch_up_seconds),
                jitter=timedelta(seconds=self.jitter_seconds),
                subject=self.subject,
            )


class ScheduleChanges(BaseModel):
    """What is to change of a schedule; what is left out stays. A new `kind` needs its `payload`."""

    model_config = ConfigDict(extra="forbid")

    cron: Text | None = None
    zone: Text | None = None
    kind: Text | None = None
    payload: Payload | None = None
    overlap: Overlap | None = None
    missed: Missed | None = None
    catch_up_seconds: Seconds | None = None
    jitter_seconds: Seconds | None = None
    subject: Text | None = None
    why: Why | None = None

    def applied_to(
        self, record: ScheduleRecord, kinds: Kinds, open_work: Callable[[str, Any], Work[Any]]
    ) -> Schedule:
        """The schedule with these changes. Raises `Problem` 422 for what cannot be."""
        changes: dict[str, Any] = {
            name: getattr(self, name)
            for name in ("cron", "zone", "overlap", "missed")
            if getattr(self, name) is not None
        }
        if self.catch_up_seconds is not None:
            changes["catch_up"] = timedelta(seconds=self.catch_up_seconds)
        if self.jitter_seconds is not None:
            changes["jitter"] = timedelta(seconds=self.jitter_seconds)
        if "subject" in self.model_fields_set:
            changes["subject"] = self.subject
        if self.kind is not None or self.payload is not None:
            changes["work"] = open_work(self.kind or record.kind, self.payload)
        with refused_fields():
            return replace(record.schedule(kinds), **changes)


class Range(BaseModel):
    """The ticks from `since` on, and before `until` and now."""

    model_config = ConfigDict(extra="forbid")

    since: Moment
    until: Moment
    why: Why | None = None


def work_of(kinds: Kinds, kind: str, payload: dict[str, Any] | None) -> Work[Any]:
    """The work of a kind that is open to clients. Raises `Problem` 422 naming what is wrong."""
    if kind not in kinds:
        named = ", ".join(kinds)
        raise invalid([field_error(["kind"], f"is not a kind open to clients; these are: {named}")])
    if payload is None:
        raise invalid([field_error(["payload"], "is needed with another kind")])
    try:
        work = kinds[kind].parse(payload)
        work.keys()
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        located = [{**each, "loc": ("body", "payload", *each["loc"])} for each in found]
        raise RequestValidationError(located) from None
    except ValueError as error:
        raise invalid([field_error(["payload"], str(error))]) from None
    return work


@contextmanager
def refused_fields() -> Iterator[None]:
    """Turn a ValueError such as `cron: bad minute` into `Problem` 422."""
    try:
        yield
    except ValueError as error:
        field, colon, why = str(error).partition(": ")
        raise invalid([field_error([field if colon else "body"], why or field)]) from None
