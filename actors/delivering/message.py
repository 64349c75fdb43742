"""What is sent to a webhook endpoint: the same body and id in every attempt, and a signature.

As in Standard Webhooks, see standardwebhooks.com.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from standardwebhooks import Webhook

from service.job_times import time_of
from service.webhooks.models import WebhookEndpoint

UUID7 = 7
SIGNATURE = "webhook-signature"


@dataclass(frozen=True, slots=True)
class Message:
    """One event as it is sent. `id` is the `webhook-id`."""

    id: UUID
    event: str
    body: str

    def headers(self, endpoint: WebhookEndpoint, now: datetime) -> dict[str, str]:
        """The request's headers, signed with each secret of the endpoint that is valid now."""
        signatures = [
            Webhook(secret).sign(str(self.id), now, self.body) for secret in _secrets(endpoint, now)
        ]
        return {
            "Content-Type": "application/json",
            "User-Agent": "Duly",
            "Accept-Encoding": "identity",
            "webhook-id": str(self.id),
            "webhook-timestamp": str(int(now.timestamp())),
            SIGNATURE: " ".join(signatures),
        }


def message(event: str, data: Mapping[str, Any], event_id: UUID | None, job_id: UUID) -> Message:
    """The message of an event. Its time is in its id, so it is the same in every attempt."""
    is_dated = event_id is not None and event_id.version == UUID7
    at = time_of(event_id if event_id and is_dated else job_id)
    body = json.dumps({"type": event, "timestamp": at.isoformat(), "data": data})
    return Message(event_id or job_id, event, body)


def _secrets(endpoint: WebhookEndpoint, now: datetime) -> list[str]:
    """The endpoint's secret, and after a rotation the one before until its time is over."""
    until = endpoint.old_secret_until
    if endpoint.old_secret and until and now < until:
        return [endpoint.secret, endpoint.old_secret]
    return [endpoint.secret]
