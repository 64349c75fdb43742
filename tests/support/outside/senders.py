"""Senders of webhooks: they sign as Stripe does, and as in Standard Webhooks."""

import json
import time
from datetime import UTC, datetime
from typing import Any

from standardwebhooks import Webhook
from stripe import WebhookSignature

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OLD_SECRET = "whsec_b25lIHRoYXQgd2FzIHJvdGF0ZWQgb3V0"


def stripe_headers(body: bytes, secret: str = SECRET, age_seconds: float = 0) -> dict[str, str]:
    """The header of a body that Stripe signed so long ago."""
    signed_at = int(time.time() - age_seconds)
    sign = WebhookSignature.generate_signature_header
    return {"Stripe-Signature": sign(body.decode(), secret, signed_at)}


def standard_headers(
    body: bytes, event_id: str, secret: str = SECRET, age_seconds: float = 0
) -> dict[str, str]:
    """The headers of a body that was signed so long ago."""
    signed_at = datetime.fromtimestamp(int(time.time() - age_seconds), UTC)
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(signed_at.timestamp())),
        "webhook-signature": Webhook(secret).sign(event_id, signed_at, body.decode()),
    }


def stripe_event(event_id: str, event_type: str = "payment_intent.succeeded", **data: Any) -> bytes:
    """An event's body; `data` is of the object that it is about."""
    event = {
        "id": event_id,
        "object": "event",
        "created": 1769850000,
        "type": event_type,
        "data": {"object": {"id": "pi_1", "payment_intent": "pi_1", **data}},
    }
    return json.dumps(event).encode()
