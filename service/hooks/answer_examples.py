"""Example responses for the API's documentation."""

from outbox.http.openapi.job_examples import JOB_ID, Answer, page

_EVENT_ID = "01920000-0000-7000-8000-000000000013"
_PATH = f"/v1/hook-events/{_EVENT_ID}"

_SOURCE: Answer = {
    "name": "crm",
    "created_at": "2026-01-31T09:00:00Z",
    "previous_until": None,
    "links": {
        "receive": "/v1/hooks/crm",
        "events": "/v1/hook-events?source=crm",
        "rotate": "/v1/hook-sources/crm/rotate",
    },
}
_UNKNOWN: Answer = {
    "id": _EVENT_ID,
    "source": "crm",
    "event_id": "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W",
    "type": "customer.address_changed",
    "state": "unknown",
    "why": "no job is made of events of this type",
    "job_id": None,
    "created_at": "2026-01-31T09:00:00Z",
    "received_at": "2026-01-31T09:00:01Z",
    "links": {"self": _PATH, "take": f"{_PATH}/take"},
}
_TAKEN: Answer = {
    **_UNKNOWN,
    "state": "taken",
    "why": None,
    "job_id": JOB_ID,
    "links": {"self": _PATH, "job": f"/v1/jobs/{JOB_ID}"},
}

ANSWERS = {
    "EventReceived": {"id": _EVENT_ID, "state": "taken", "duplicate": False},
    "HookSourceMade": {**_SOURCE, "secret": "whsec_b25seSBhbiBleGFtcGxl"},
    "HookSourceList": {"hook_sources": [_SOURCE]},
    "HookEventPage": page("hook_events", _UNKNOWN),
    "HookEvent": {**_UNKNOWN, "payload": '{"type": "customer.address_changed", "data": {}}'},
    "HookEventShown": _TAKEN,
    "EventsTaken": {
        "taken": [{"id": _EVENT_ID, "job_id": JOB_ID}],
        "still_unknown": [],
        "next_cursor": None,
    },
}
"""Examples by the name of their OpenAPI schema."""
