"""Example responses for the API's documentation."""

from outbox.http.openapi.job_examples import JOB_ID, Answer, page

_EMAIL: Answer = {
    "id": JOB_ID,
    "to": "[redacted]",
    "category": "news",
    "state": "sent",
    "reply": "[redacted]",
    "created_at": "2026-01-31T09:00:00Z",
    "changed_at": "2026-01-31T09:00:02Z",
    "links": {"self": f"/v1/emails/{JOB_ID}", "job": f"/v1/jobs/{JOB_ID}"},
}
_SUPPRESSION: Answer = {
    "id": "01920000-0000-7000-8000-000000000004",
    "address": "[redacted]",
    "category": "*",
    "reason": "bounce",
    "email_id": JOB_ID,
    "created_at": "2026-01-31T09:05:00Z",
}
_TEMPLATES: Answer = {
    "mail_templates": [{"name": "note", "fields": ["message", "name", "subject"]}]
}

ANSWERS = {
    "Email": _EMAIL,
    "EmailPage": page("emails", _EMAIL),
    "Templates": _TEMPLATES,
    "Suppression": _SUPPRESSION,
    "SuppressionPage": page("suppressions", _SUPPRESSION),
    "BounceTaken": {"outcome": "bounced", "email_id": JOB_ID, "is_suppressed": True},
    "Unsubscribed": {"category": "news"},
}
"""Examples by the name of their OpenAPI schema."""
