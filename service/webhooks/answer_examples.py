"""Example responses for the API's documentation."""

from outbox.http.openapi.job_examples import JOB_SUMMARY, Answer, page

_ENDPOINT_ID = "01920000-0000-7000-8000-000000000003"
_ENDPOINT_PATH = f"/v1/webhook-endpoints/{_ENDPOINT_ID}"
_DELIVERY_ID = "01920000-0000-7000-8000-000000000004"
_DELIVERY_PATH = f"/v1/webhook-deliveries/{_DELIVERY_ID}"

_ENDPOINT: Answer = {
    "id": _ENDPOINT_ID,
    "url": "https://example.com/hooks",
    "events": ["invoice.rendered"],
    "description": "the shop's ledger",
    "owner_email": "ledger@example.com",
    "ordered": False,
    "created_at": "2026-01-31T09:00:00Z",
    "failing_since": None,
    "disabled_at": None,
    "disabled_because": None,
    "old_secret_until": None,
    "links": {
        "self": _ENDPOINT_PATH,
        "enable": f"{_ENDPOINT_PATH}/enable",
        "deliveries": f"{_ENDPOINT_PATH}/deliveries",
        "missed": f"{_ENDPOINT_PATH}/deliveries?state=failed",
        "redeliver": f"{_ENDPOINT_PATH}/redeliver",
    },
}
_ENDPOINT_MADE: Answer = {**_ENDPOINT, "secret": "whsec_b25seSBhbiBleGFtcGxl"}
_ENDPOINTS: Answer = page("webhook_endpoints", _ENDPOINT)
_ROTATED: Answer = {
    "secret": "whsec_YW5vdGhlciBleGFtcGxl",
    "old_secret_until": "2026-02-01T09:00:00Z",
}
_SUBMITTED: Answer = {**JOB_SUMMARY, "queue": "webhooks"}
_DELIVERY: Answer = {
    "id": _DELIVERY_ID,
    "endpoint_id": _ENDPOINT_ID,
    "event": "invoice.rendered",
    "webhook_id": _DELIVERY_ID,
    "subject": "invoice:01920000-0000-7000-8000-000000000002",
    "state": "pending",
    "delivered_at": None,
    "redelivered_as": None,
    "body": "[redacted]",
    "attempts": [
        {
            "attempt": 1,
            "at": "2026-01-31T09:00:01Z",
            "seconds": 0.12,
            "request_headers": {
                "Content-Type": "application/json",
                "User-Agent": "Duly",
                "Accept-Encoding": "identity",
                "webhook-id": _DELIVERY_ID,
                "webhook-timestamp": "1769850001",
            },
            "status": 500,
            "answer_headers": {"content-type": "text/plain", "server": "nginx"},
            "answer_body": "[redacted]",
            "error": "the endpoint answered 500",
        }
    ],
    "links": {
        "self": _DELIVERY_PATH,
        "job": f"/v1/jobs/{_DELIVERY_ID}",
        "redeliver": f"{_DELIVERY_PATH}/redeliver",
    },
}

ANSWERS = {
    "Delivery": _DELIVERY,
    "DeliveryPage": page("deliveries", _DELIVERY),
    "Endpoint": _ENDPOINT,
    "EndpointMade": _ENDPOINT_MADE,
    "EndpointPage": _ENDPOINTS,
    "Redelivered": {"job_ids": ["01920000-0000-7000-8000-000000000005"], "more": False},
    "RedeliverySubmitted": {**_SUBMITTED, "kind": "webhook.deliver"},
    "Rotated": _ROTATED,
    "TestSubmitted": {**_SUBMITTED, "kind": "webhook.test"},
}
"""Examples by the name of their OpenAPI schema."""
