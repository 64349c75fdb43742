"""Webhooks in, in requests and responses of the API."""

import re
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Path
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, computed_field

from outbox.http.auth.record import LONGEST_REASON
from outbox.operations.api_keys import Caller, Scope
from outbox.redaction.fields import HIDDEN
from service.hooks.jobs_of_events import STRIPE
from service.hooks.keeping import Taken
from service.hooks.models import HookEvent

FORM = r"^whsec_[A-Za-z0-9+/]{32,88}={0,2}$"
LONGEST_OVERLAP_HOURS = 30 * 24


def _not_stripe(name: str) -> str:
    if name == STRIPE:
        raise ValueError("is Stripe's own: its secrets are in DULY_STRIPE_WEBHOOK_SECRETS")
    return name


def _readable(secret: str) -> str:
    if len(re.sub(r"^whsec_|=", "", secret)) % 4 == 1:
        raise ValueError("is no base64")
    return secret


SourceName = Annotated[
    str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$"), AfterValidator(_not_stripe)
]
SourcePath = Annotated[str, Path(max_length=63, pattern=r"^[^\x00]+$")]
"""A source in the address, known or not."""
Secret = Annotated[
    str,
    Field(
        pattern=FORM,
        description="The secret that the sender gave you, 24 to 64 bytes in base64 after `whsec_`. "
        "Without it a new one is made, for you to give to the sender.",
    ),
    AfterValidator(_readable),
]


class NewHookSource(BaseModel):
    """Somebody who will send events."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    name: SourceName
    secret: Secret | None = None


class SourceRotation(BaseModel):
    """The next secret of a source, and for how long the present one stays good."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    secret: Secret | None = None
    overlap_hours: Annotated[int, Field(ge=0, le=LONGEST_OVERLAP_HOURS, strict=True)] = 24
    why: Annotated[str, Field(max_length=LONGEST_REASON)] | None = None


class HookSourceShown(BaseModel):
    """A source of events, without its secret; `previous_until` is set after a rotation."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    created_at: datetime
    previous_until: datetime | None

    @computed_field
    def links(self) -> dict[str, str]:
        """Where it sends events to, and where these are listed."""
        return {
            "receive": f"/v1/hooks/{self.name}",
            "events": f"/v1/hook-events?source={self.name}",
            "rotate": f"/v1/hook-sources/{self.name}/rotate",
        }


class HookSourceMade(HookSourceShown):
    """A source with its present secret, which is never shown again."""

    secret: str


class HookSourceList(BaseModel):
    """All sources, by name."""

    hook_sources: list[HookSourceShown]


class EventReceived(BaseModel):
    """An event is stored, and so is its job. A `duplicate` had been stored before."""

    id: UUID
    state: Literal["taken", "unknown"]
    duplicate: bool


class HookEventShown(BaseModel):
    """An event without its payload. It is `unknown` while no release makes a job of it."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    source: str
    event_id: str
    type: str | None
    state: Literal["taken", "unknown"]
    why: str | None
    job_id: UUID | None
    created_at: datetime | None
    received_at: datetime

    @computed_field
    def links(self) -> dict[str, str]:
        """Where it is shown, and its job; or where it can become one."""
        path = f"/v1/hook-events/{self.id}"
        if self.job_id is None:
            return {"self": path, "take": f"{path}/take"}
        return {"self": path, "job": f"/v1/jobs/{self.job_id}"}


class HookEventInFull(HookEventShown):
    """An event with its payload: the body as it was signed, as text. Hidden without `payloads`."""

    payload: str

    @classmethod
    def of(cls, event: HookEvent, by: Caller) -> "HookEventInFull":
        """The event as this caller may see it."""
        shown = cls.model_validate(event)
        if by.may(Scope.PAYLOADS):
            return shown
        return shown.model_copy(update={"payload": HIDDEN})


class HookEventPage(BaseModel):
    """A page of events, the newest first."""

    hook_events: list[HookEventShown]
    next_cursor: str | None


class EventsToTake(BaseModel):
    """Which of the unknown events are to become jobs: all, or those of a source or type."""

    model_config = ConfigDict(extra="forbid")

    source: Annotated[str, Field(pattern=r"^[^\x00]*$", max_length=255)] | None = None
    type: Annotated[str, Field(pattern=r"^[^\x00]*$", max_length=255)] | None = None
    limit: Annotated[int, Field(ge=1, le=200, strict=True)] = 100
    cursor: Annotated[str, Field(max_length=500)] | None = None
    why: Annotated[str, Field(max_length=LONGEST_REASON)] | None = None


class EventTaken(BaseModel):
    """An event that became a job."""

    id: UUID
    job_id: UUID


class EventLeft(BaseModel):
    """An event that stays unknown, and why."""

    id: UUID
    why: str


class EventsTaken(BaseModel):
    """What became of up to `limit` events. Ask again with `next_cursor` until it is null."""

    taken: list[EventTaken]
    still_unknown: list[EventLeft]
    next_cursor: str | None

    @classmethod
    def of(cls, taken: Taken, next_cursor: str | None) -> "EventsTaken":
        """What became of the events."""
        return cls(
            taken=[EventTaken(id=each, job_id=job) for each, job in taken.jobs.items()],
            still_unknown=[
                EventLeft(id=each, why=why) for each, why in taken.still_unknown.items()
            ],
            next_cursor=next_cursor,
        )
