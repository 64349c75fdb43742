"""Delivers one event to one webhook endpoint, signed as in Standard Webhooks.

See standardwebhooks.com. The receiver recognises a repeated delivery by its `webhook-id`.
"""

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import func, update
from standardwebhooks import Webhook

from actors.web.addresses import check
from actors.web.post import Answer, post
from actors.web.retry_after import retry_in
from outbox import Job, actor
from service.settings import settings
from service.webhooks.kinds import DELIVER_WEBHOOK, DeliverWebhook, EndpointGone, EndpointMoved
from service.webhooks.models import WebhookEndpoint

GONE = 410
MOVED_FOR_GOOD = (301, 308)


class DeliveryFailed(Exception):
    """The endpoint did not answer 2xx. `retry_in` is how long it asked to wait, or None."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(_summary(answer))
        self.retry_in = retry_in(answer.retry_after, datetime.now(UTC))


@actor(DELIVER_WEBHOOK)
def deliver(work: DeliverWebhook, job: Job) -> dict[str, int]:
    """POST the event; the result is the endpoint's 2xx status.

    Each attempt sends the same body and the same id (the job's). Raises AddressRefused,
    EndpointGone and EndpointMoved, which are final, and DeliveryFailed or NoAnswer, which are
    retried. No redirect is followed. If the process dies after the endpoint answered, the event is
    delivered again.
    """
    endpoint = _endpoint(job, work.endpoint_id)
    to = check(
        endpoint.url,
        may_be_private=settings().webhooks_may_reach_private,
        denied=settings().webhooks_deny,
    )
    body = _body(work, job.id)
    answer = post(to, body.encode(), _headers(endpoint.secret, job.id, body))
    if answer.status == GONE:
        _disable(job, endpoint.id)
        raise EndpointGone(f"the endpoint {endpoint.id} answered 410 Gone and was switched off")
    if answer.status in MOVED_FOR_GOOD:
        raise EndpointMoved(f"{_summary(answer)} for good: give the endpoint its new address")
    if not 200 <= answer.status < 300:
        raise DeliveryFailed(answer)
    return {"status": answer.status}


def _endpoint(job: Job, endpoint_id: UUID) -> WebhookEndpoint:
    with job.sessions() as session:
        endpoint = session.get(WebhookEndpoint, endpoint_id)
    if endpoint is None:
        raise EndpointGone(f"the endpoint {endpoint_id} was deleted")
    if endpoint.disabled_at is not None:
        raise EndpointGone(f"the endpoint {endpoint_id} is switched off")
    return endpoint


def _disable(job: Job, endpoint_id: UUID) -> None:
    with job.sessions() as session, session.begin():
        session.execute(
            update(WebhookEndpoint)
            .where(WebhookEndpoint.id == endpoint_id, WebhookEndpoint.disabled_at.is_(None))
            .values(disabled_at=func.now())
        )


def _summary(answer: Answer) -> str:
    pointing = f" and points to {answer.moved_to}" if answer.moved_to else ""
    return f"the endpoint answered {answer.status}{pointing}"


def _body(work: DeliverWebhook, job_id: UUID) -> str:
    return json.dumps(
        {"type": work.event, "timestamp": _created_at(job_id).isoformat(), "data": work.data}
    )


def _created_at(job_id: UUID) -> datetime:
    # A UUIDv7 begins with its time in milliseconds, so the time is the same in every attempt.
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=job_id.int >> 80)


def _headers(secret: str, job_id: UUID, body: str) -> dict[str, str]:
    now = datetime.now(UTC)
    return {
        "Content-Type": "application/json",
        "User-Agent": "Duly",
        "webhook-id": str(job_id),
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(str(job_id), now, body),
    }


ACTORS = (deliver,)
