"""The jobs of webhooks."""

import re
from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from outbox import Key, Kind, Rate, Retry
from service.payload import Payload

LONGEST_SUBJECT = 150
"""Characters of what an event is about: with the endpoint's id it has to fit into a key."""
SUBJECT = re.compile(r"[!-~]+")
"""Visible ASCII."""
TEST_EVENT = "webhook.test"

EventName = Annotated[str, Field(pattern=r"^[a-z0-9_]+(\.[a-z0-9_]+)+$", max_length=100)]


class DeliverWebhook(Payload):
    """One event to one webhook endpoint.

    `event_id` is the `webhook-id` by which the receiver knows a repetition: the job's own id,
    unless an event is delivered again.
    """

    endpoint_id: UUID
    event: EventName
    data: dict[str, Any]
    event_id: UUID | None = None


class DeliverInOrder(DeliverWebhook):
    """One event to one webhook endpoint, after the earlier ones of the same subject."""

    order_by: Annotated[str, Field(pattern=f"^{SUBJECT.pattern}$", max_length=LONGEST_SUBJECT)]


class TestEndpoint(Payload):
    """A test event to one webhook endpoint."""

    __test__ = False  # pytest would collect it

    endpoint_id: UUID


class PruneDeliveries(Payload):
    """Delete the record of old deliveries, and secrets that are no longer valid."""


def is_orderable(subject: str | None) -> bool:
    """Whether events about this can be delivered in order."""
    return bool(subject and len(subject) <= LONGEST_SUBJECT and SUBJECT.fullmatch(subject))


class EndpointGone(Exception):
    """The webhook endpoint was deleted or disabled."""


class AddressRefused(Exception):
    """This service may not call the webhook's address."""


class EndpointMoved(Exception):
    """The webhook endpoint answered that its address changed permanently (301 or 308)."""


def _endpoint(work: DeliverWebhook) -> str:
    return f"endpoint:{work.endpoint_id}"


def _subject(work: DeliverInOrder) -> str:
    return f"endpoint:{work.endpoint_id}:{work.order_by}"


ONE_AT_A_TIME = Key(_endpoint, at_most=1, rate=Rate(1000, per=timedelta(seconds=1)))
"""One call of an endpoint at a time: an endpoint that does not answer holds one task of a worker
for the call's 20 seconds, so that a hundred tasks bear fifty of them. `duly limits set` allows one
endpoint more. The rate is never reached; a key with a rate is one that a 429 can pause."""
THREE_DAYS = Retry(
    attempts=18,
    first=timedelta(seconds=20),
    longest=timedelta(days=1),
    never=(EndpointGone, EndpointMoved, AddressRefused),
)
"""The first within seconds, then further and further apart, on the average over three days."""
SAME_ID = "the same webhook-id, by which the receiver knows a repetition"

DELIVER_WEBHOOK = Kind(
    "webhook.deliver",
    DeliverWebhook,
    queue="webhooks",
    time_limit=timedelta(minutes=1),
    retry=THREE_DAYS,
    sensitive=("data",),
    key=ONE_AT_A_TIME,
    owner="integrations",
    idempotency=SAME_ID,
)
DELIVER_IN_ORDER = Kind(
    "webhook.deliver_in_order",
    DeliverInOrder,
    queue="webhooks",
    time_limit=timedelta(minutes=1),
    retry=THREE_DAYS,
    sensitive=("data",),
    key=(Key(_subject, ordered=True), ONE_AT_A_TIME),
    owner="integrations",
    idempotency=SAME_ID,
)
TEST_ENDPOINT = Kind(
    "webhook.test",
    TestEndpoint,
    queue="webhooks",
    time_limit=timedelta(minutes=1),
    retry=Retry(attempts=3),
    owner="integrations",
    idempotency="the same webhook-id; a test has no effect",
)
PRUNE_DELIVERIES = Kind(
    "webhook.prune",
    PruneDeliveries,
    queue="webhooks",
    time_limit=timedelta(minutes=30),
    owner="integrations",
    idempotency="what is deleted stays deleted",
)
