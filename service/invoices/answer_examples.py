"""Example responses for the API's documentation."""

from outbox.http.openapi.job_examples import JOB_SUMMARY, Answer, page
from service.charging.answer_examples import PAYMENT

_INVOICE_ID = "01920000-0000-7000-8000-000000000002"

_INVOICE_SUMMARY: Answer = {
    "id": _INVOICE_ID,
    "customer": "Ada Lovelace",
    "email": "ada@example.com",
    "currency": "EUR",
    "total": "1200.00",
    "state": "paid",
    "at_month_end": False,
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
    "payments": [PAYMENT],
    "jobs": [{**JOB_SUMMARY, "kind": "invoice.render", "queue": "documents"}],
    "links": {
        "self": f"/v1/invoices/{_INVOICE_ID}",
        "pdf": f"/v1/invoices/{_INVOICE_ID}/pdf",
        "charge": f"/v1/invoices/{_INVOICE_ID}/charge",
    },
}
_INVOICES: Answer = page("invoices", _INVOICE_SUMMARY)

ANSWERS = {
    "Invoice": _INVOICE,
    "InvoicePage": _INVOICES,
}
"""Examples by the name of their OpenAPI schema."""
