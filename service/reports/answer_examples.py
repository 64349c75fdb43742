"""Example responses for the API's documentation."""

from outbox.http.openapi.job_examples import JOB_SUMMARY, Answer, page

_ID = "01920000-0000-7000-8000-000000000003"

_SUMMARY: Answer = {
    "id": _ID,
    "first_day": "2026-11-01",
    "last_day": "2026-11-30",
    "zone": "Europe/Berlin",
    "formats": ["csv", "pdf"],
    "requested_at": "2026-12-01T05:00:00Z",
    "built_at": "2026-12-01T05:00:04Z",
    "expires_at": "2027-03-01T05:00:04Z",
}
_REPORT: Answer = {
    **_SUMMARY,
    "state": "ready",
    "totals": [
        {
            "currency": "EUR",
            "invoices": 31,
            "lines": 84,
            "customers": 12,
            "amount": "20412.50",
        },
        {"currency": "USD", "invoices": 2, "lines": 2, "customers": 1, "amount": "990.00"},
    ],
    "files": [{"format": "csv", "bytes": 1893}, {"format": "pdf", "bytes": 41077}],
    "job": {
        **JOB_SUMMARY,
        "id": _ID,
        "kind": "report.build",
        "queue": "reports",
        "state": "succeeded",
        "links": {"self": f"/v1/jobs/{_ID}"},
    },
    "links": {"self": f"/v1/reports/{_ID}", "links": f"/v1/reports/{_ID}/links"},
}
_LINK: Answer = {
    "url": "/v1/downloads/019200000000700080000000000000"
    "03.pdf.1796105100.q0V3n2mWqk0d1mWJ0yq0u8n4yqS8xSkYl1vXkqvYv3E",
    "expires_at": "2026-12-01T06:05:00Z",
}

ANSWERS = {
    "Report": _REPORT,
    "ReportPage": page("reports", _SUMMARY),
    "ReportLink": _LINK,
}
"""Examples by the name of their OpenAPI schema."""
