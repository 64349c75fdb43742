"""Example responses for the API's documentation."""

from outbox.http.openapi.job_examples import JOB_SUMMARY, Answer, page

PAYMENT_ID = "01920000-0000-7000-8000-000000000004"
_INVOICE_ID = "01920000-0000-7000-8000-000000000002"

PAYMENT: Answer = {
    "id": PAYMENT_ID,
    "invoice_id": _INVOICE_ID,
    "amount": "1200.00",
    "refunded": "0.00",
    "currency": "EUR",
    "state": "succeeded",
    "why": None,
    "intent_id": "pi_3MtwBwLkdIwHu7ix28a3tqPa",
    "created_at": "2026-01-31T09:00:00Z",
    "settled_at": "2026-01-31T09:00:02Z",
    "refunds": [],
    "links": {
        "self": f"/v1/payments/{PAYMENT_ID}",
        "invoice": f"/v1/invoices/{_INVOICE_ID}",
        "jobs": f"/v1/jobs?subject=invoice:{_INVOICE_ID}",
        "refund": f"/v1/payments/{PAYMENT_ID}/refunds",
    },
}
_ACCEPTED: Answer = {
    **PAYMENT,
    "state": "open",
    "intent_id": None,
    "settled_at": None,
    "links": {
        **{name: PAYMENT["links"][name] for name in ("self", "invoice", "jobs")},
        "cancel": f"/v1/payments/{PAYMENT_ID}/cancel",
    },
    "job": {**JOB_SUMMARY, "kind": "payment.charge", "queue": "payments"},
}

ANSWERS = {
    "Payment": PAYMENT,
    "PaymentAccepted": _ACCEPTED,
    "PaymentPage": page("payments", PAYMENT),
}
"""Examples by the name of their OpenAPI schema."""
