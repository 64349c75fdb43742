"""Example request bodies for the API's documentation. They work as they are."""

from fastapi.openapi.models import Example

NEW_INVOICES: dict[str, Example] = {
    "two lines": {
        "value": {
            "customer": "Ada Lovelace",
            "email": "ada@example.com",
            "currency": "EUR",
            "lines": [
                {"description": "Engine, analytical", "quantity": 1, "unit_price": "1200.00"},
                {"description": "Punched cards", "quantity": 500, "unit_price": "0.25"},
            ],
        }
    }
}

NEW_ENDPOINTS: dict[str, Example] = {
    "rendered invoices": {
        "value": {"url": "https://example.com/hooks", "events": ["invoice.rendered"]}
    },
    "everything": {"value": {"url": "https://example.com/hooks", "events": ["*"]}},
}

NEW_JOBS: dict[str, Example] = {
    "a mail": {
        "value": {
            "kind": "email.send",
            "payload": {"to": "ada@example.com", "subject": "Hello", "text": "Good morning."},
        }
    },
    "a mail, later": {
        "value": {
            "kind": "email.send",
            "payload": {"to": "ada@example.com", "subject": "Hello", "text": "Happy new year."},
            "run_at": "2031-01-01T00:00:00+01:00",
            "priority": "low",
        }
    },
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
