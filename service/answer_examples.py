"""Example responses of the service's own routes, for the API's documentation."""

from outbox.http.openapi.answer_examples import JOB_SUMMARY, Answer, page

_INVOICE_ID = "01920000-0000-7000-8000-000000000002"
_ENDPOINT_ID = "01920000-0000-7000-8000-000000000003"

_INVOICE_SUMMARY: Answer = {
    "id": _INVOICE_ID,
    "customer": "Ada Lovelace",
    "email": "ada@example.com",
    "currency": "EUR",
    "total": "1200.00",
    "created_at": "2026-01-31T09:00:00Z",
    "lines": [
        {
            "description": "Engine, analytical",
            "quantity": 1,
            "unit_price": "1200.00",
            "amount": "1200.00",
        }
    ],
}
_INVOICE: Answer = {
    **_INVOICE_SUMMARY,
    "jobs": [{**JOB_SUMMARY, "kind": "invoice.render", "queue": "documents"}],
    "links": {"self": f"/v1/invoices/{_INVOICE_ID}", "pdf": f"/v1/invoices/{_INVOICE_ID}/pdf"},
}
_INVOICES: Answer = page("invoices", _INVOICE_SUMMARY)

_ENDPOINT: Answer = {
    "id": _ENDPOINT_ID,
    "url": "https://example.com/hooks",
    "events": ["invoice.rendered"],
    "created_at": "2026-01-31T09:00:00Z",
    "disabled_at": None,
    "links": {
        "enable": f"/v1/webhook-endpoints/{_ENDPOINT_ID}/enable",
        "missed": f"/v1/dead-letters?kind=webhook.deliver&error={_ENDPOINT_ID}",
    },
}
_ENDPOINT_MADE: Answer = {**_ENDPOINT, "secret": "whsec_b25seSBhbiBleGFtcGxl"}
_ENDPOINTS: Answer = page("webhook_endpoints", _ENDPOINT)

ANSWERS = {
    "Invoice": _INVOICE,
    "InvoicePage": _INVOICES,
    "Endpoint": _ENDPOINT,
    "EndpointMade": _ENDPOINT_MADE,
    "EndpointPage": _ENDPOINTS,
}
"""Examples by the name of their OpenAPI schema."""
