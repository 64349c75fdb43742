"""Example responses for the API's documentation."""

from outbox.http.openapi.job_examples import Answer, page

_ENDPOINT_ID = "01920000-0000-7000-8000-000000000003"

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
    "Endpoint": _ENDPOINT,
    "EndpointMade": _ENDPOINT_MADE,
    "EndpointPage": _ENDPOINTS,
}
"""Examples by the name of their OpenAPI schema."""
