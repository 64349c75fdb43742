"""Example responses for the API's documentation."""

from outbox.http.openapi.job_examples import JOB_SUMMARY, Answer, page

_ID = "01920000-0000-7000-8000-000000000007"
_BATCH = "01920000-0000-7000-8000-000000000008"

_SUMMARY: Answer = {
    "id": _ID,
    "month": "2026-10",
    "created_at": "2026-11-01T06:00:00Z",
    "completed_at": None,
}
_LINKS = {"self": f"/v1/closings/{_ID}", "resume": f"/v1/closings/{_ID}/resume"}
_ALL_WELL = {"jobs": 311, "succeeded": 311, "dead": 0, "cancelled": 0, "open": 0}
_CLOSING: Answer = {
    **_SUMMARY,
    "state": "incomplete",
    "invoices": 312,
    "stages": {
        "charge": {"jobs": 312, "succeeded": 311, "dead": 1, "cancelled": 0, "open": 0},
        "render": _ALL_WELL,
        "mail": _ALL_WELL,
    },
    "not_charged": [
        {
            "invoice_id": "01920000-0000-7000-8000-000000000002",
            "why": "the invoice has no payment_method: give one",
        }
    ],
    "links": {
        **_LINKS,
        "batch": f"/v1/batches/{_BATCH}",
        "dead_letters": f"/v1/dead-letters?batch={_BATCH}",
    },
}
_ACCEPTED: Answer = {
    **_SUMMARY,
    "job": {**JOB_SUMMARY, "kind": "closing.begin", "queue": "closings"},
    "links": _LINKS,
}

ANSWERS = {
    "Closing": _CLOSING,
    "ClosingAccepted": _ACCEPTED,
    "ClosingPage": page("closings", _SUMMARY),
}
"""Examples by the name of their OpenAPI schema."""
