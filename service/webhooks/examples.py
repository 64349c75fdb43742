"""Example request bodies for the API's documentation. They work as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi.openapi.models import Example

NEW_ENDPOINTS: dict[str, Example] = {
    "rendered invoices": {
        "value": {"url": "https://example.com/hooks", "events": ["invoice.rendered"]}
    },
    "everything": {"value": {"url": "https://example.com/hooks", "events": ["*"]}},
    "in order, with an owner": {
        "value": {
            "url": "https://example.com/hooks",
            "events": ["*"],
            "description": "the shop's ledger",
            "owner_email": "ledger@example.com",
            "ordered": True,
        }
    },
}

NEW_JOBS: dict[str, Example] = {
    "an event": {
        "value": {
            "kind": "webhook.deliver",
            "payload": {
                "endpoint_id": "01920000-0000-7000-8000-000000000000",
                "event": "order.shipped",
                "data": {"order": 1042},
            },
        }
    },
}
