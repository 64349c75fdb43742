"""Example responses for the API's documentation."""

from outbox.http.openapi.job_examples import Answer

FILE_ID = "01920000-0000-7000-8000-000000000004"

_FILE: Answer = {
    "id": FILE_ID,
    "size": 48213004,
    "media_type": "text/csv",
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "created_at": "2026-01-31T09:00:00Z",
    "expires_at": "2026-02-07T09:00:00Z",
    "links": {"self": f"/v1/files/{FILE_ID}", "content": f"/v1/files/{FILE_ID}/content"},
}

ANSWERS = {"File": _FILE}
"""Examples by the name of their OpenAPI schema."""
