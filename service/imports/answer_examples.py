"""Example responses for the API's documentation."""

from outbox.http.openapi.job_examples import Answer, page

_ID = "01920000-0000-7000-8000-000000000006"
_BATCH_ID = "019475a0-0000-7000-8000-000000000006"
_PATH = f"/v1/imports/{_ID}"

_UPLOADING: Answer = {
    "id": _ID,
    "file": "charges.csv",
    "state": "uploading",
    "size": 104857600,
    "received": 0,
    "options": {},
    "found": None,
    "reason": None,
    "rows": 0,
    "good": 0,
    "bad": 0,
    "progress": 0.0,
    "created_at": "2026-01-31T09:00:00Z",
    "expires_at": "2026-02-01T09:00:00Z",
    "ended_at": None,
    "links": {"self": _PATH, "content": f"{_PATH}/content", "cancel": f"{_PATH}/cancel"},
}
_LINKS: Answer = {
    "self": _PATH,
    "batch": f"/v1/batches/{_BATCH_ID}",
    "jobs": f"/v1/jobs?subject=import:{_ID}",
}
_RUNNING: Answer = {
    **_UPLOADING,
    "state": "running",
    "received": 104857600,
    "found": {"format": "csv", "encoding": "utf-8", "separator": ";", "decimal": "comma"},
    "rows": 400000,
    "good": 387993,
    "bad": 7,
    "progress": 0.3912,
    "expires_at": None,
    "links": {**_LINKS, "cancel": f"{_PATH}/cancel"},
}
_FINISHED: Answer = {
    **_RUNNING,
    "state": "finished",
    "rows": 1000000,
    "good": 999983,
    "bad": 17,
    "progress": 1.0,
    "ended_at": "2026-01-31T09:01:00Z",
    "links": {**_LINKS, "bad_rows": f"{_PATH}/bad-rows"},
}

ANSWERS = {
    "ImportMade": _UPLOADING,
    "ImportRunning": _RUNNING,
    "ImportShown": _FINISHED,
    "ImportPage": page("imports", _FINISHED),
    "ImportReceived": {"received": 8388608, "size": 104857600},
}
"""Examples by the name of their OpenAPI schema."""
