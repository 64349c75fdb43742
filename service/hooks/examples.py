"""Example request bodies for the API's documentation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastapi.openapi.models import Example

STRIPE_EVENT: dict[str, Any] = {
    "id": "evt_1PgafyB7WZ01zgkWSKDRuAY7",
    "object": "event",
    "created": 1769850000,
    "type": "payment_intent.succeeded",
    "data": {"object": {"id": "pi_3PgafyB7WZ01zgkW1s7DfhAq", "object": "payment_intent"}},
}
STANDARD_EVENT: dict[str, Any] = {
    "type": "customer.address_changed",
    "timestamp": "2026-01-31T09:00:00Z",
    "data": {"customer": "Ada Lovelace"},
}

NEW_SOURCES: dict[str, Example] = {
    "a new secret, for you to hand on": {"value": {"name": "crm"}},
    "the secret that the sender made": {
        "value": {"name": "crm", "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
    },
}

TO_TAKE: dict[str, Example] = {
    "all that this release knows": {"value": {"why": "the new release knows disputes"}},
    "one type": {"value": {"source": "crm", "type": "customer.address_changed"}},
}
