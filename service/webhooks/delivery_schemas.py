"""Deliveries to webhook endpoints in requests and responses of the API."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from outbox.http.routes.jobs.schemas import job_path
from outbox.http.routes.moments import Moment
from outbox.operations.api_keys import Caller, Scope
from outbox.redaction.fields import HIDDEN
from service.webhooks.deliveries import Delivered, State
from service.webhooks.schemas import Reason


class DeliveryAttempt(BaseModel):
    """One call of the endpoint. Without a `status` there was no answer, and `error` says why.

    `answer_body` has the first 2,000 bytes of the answer; it may quote the event, so it is hidden
    without the scope `payloads`. The signature is not kept.
    """

    attempt: int
    at: datetime
    seconds: float
    request_headers: dict[str, str] | None
    status: int | None
    answer_headers: dict[str, str] | None
    answer_body: str | None
    error: str | None


class Delivery(BaseModel):
    """An event's delivery to one endpoint, from the end of its first attempt on.

    It is `pending` while its job is tried again, `delivered` once the endpoint has answered 2xx,
    `failed` when it is not tried any more, and `redelivered` when it failed and another job
    delivers the event. `attempts` has the newest twenty. `body`, the same in each attempt, is
    hidden without the scope `payloads`.
    """

    id: UUID
    endpoint_id: UUID
    event: str
    webhook_id: UUID = Field(description="By this the receiver knows a repetition.")
    subject: str | None
    state: State
    delivered_at: datetime | None
    redelivered_as: UUID | None = Field(description="The newest job that delivers it again.")
    body: str
    attempts: list[DeliveryAttempt]
    links: dict[str, str]

    @classmethod
    def of(cls, found: Delivered, by: Caller) -> "Delivery":
        """The delivery as this caller may see it."""
        row, path = found.row, delivery_path(found.id)
        shows = by.may(Scope.PAYLOADS)
        return cls(
            id=row.id,
            endpoint_id=row.endpoint_id,
            event=row.event,
            webhook_id=row.event_id,
            subject=row.subject,
            state=found.state,
            delivered_at=row.delivered_at,
            redelivered_as=row.redelivered_as,
            body=row.body if shows else HIDDEN,
            attempts=[_attempt(each, shows=shows) for each in row.attempts],
            links={"self": path, "job": job_path(row.id), "redeliver": f"{path}/redeliver"},
        )


class DeliveryPage(BaseModel):
    """A page of deliveries, newest first."""

    deliveries: list[Delivery]
    next_cursor: str | None


class FailedSince(BaseModel):
    """Which failed deliveries are redelivered: those of events since then."""

    model_config = ConfigDict(extra="forbid")

    since: Moment
    why: Reason | None = None


class Redelivered(BaseModel):
    """The jobs that deliver again. If there are `more`, the same request takes the next ones."""

    job_ids: list[UUID]
    more: bool


def delivery_path(delivery_id: UUID) -> str:
    """The path of the delivery's URL."""
    return f"/v1/webhook-deliveries/{delivery_id}"


def _attempt(kept: dict[str, Any], *, shows: bool) -> DeliveryAttempt:
    body = kept["answer_body"]
    return DeliveryAttempt(**kept | {"answer_body": body if shows or not body else HIDDEN})
