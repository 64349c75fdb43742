"""Example answers of the routes of jobs and batches, for the API's documentation."""

from typing import Any

JOB_ID = "01920000-0000-7000-8000-000000000001"
_BATCH_ID = "019475a0-0000-7000-8000-000000000001"
ERROR = {"error_type": "SMTPConnectError", "error_message": "the mail server is unreachable"}

Answer = dict[str, Any]


def page(name: str, example: Answer) -> Answer:
    """A page that has one row in the list of that name, and is the last."""
    return {name: [example], "next_cursor": None}


JOB_SUMMARY: Answer = {
    "id": JOB_ID,
    "kind": "email.send",
    "queue": "email",
    "state": "queued",
    "links": {
        "self": f"/v1/jobs/{JOB_ID}",
        "cancel": f"/v1/jobs/{JOB_ID}/cancel",
        "reschedule": f"/v1/jobs/{JOB_ID}/reschedule",
    },
}
_JOB: Answer = {
    **JOB_SUMMARY,
    "state": "succeeded",
    "links": {"self": f"/v1/jobs/{JOB_ID}", "children": f"/v1/jobs?parent={JOB_ID}"},
    "created_at": "2026-01-31T09:00:00Z",
    "run_at": "2026-01-31T09:00:00Z",
    "priority": "normal",
    "payload": {"to": "[redacted]", "subject": "Hello", "text": "[redacted]"},
    "subject": None,
    "parent_id": None,
    "batch_id": None,
    "submitted_by": "shop (0f1e2d3c4b5a)",
    "attempt": 1,
    "attempt_limit": 8,
    "attempts_left": 0,
    "replays": 0,
    "worker": "worker-1",
    "started_at": "2026-01-31T09:00:01Z",
    "cancel_requested_at": None,
    "finished_at": "2026-01-31T09:00:02Z",
    "progress": {
        "done": 2,
        "total": 2,
        "note": None,
        "at": "2026-01-31T09:00:02Z",
        "attempt": 1,
        "ends_at": None,
    },
    "expires_at": None,
    "cancel_reason": None,
    "keys": None,
    "result": None,
    "left_out": [],
}
_JOB_CANCELLED: Answer = {
    **_JOB,
    "state": "cancelled",
    "attempt": 0,
    "worker": None,
    "started_at": None,
    "cancel_requested_at": "2026-01-31T09:00:02Z",
    "progress": None,
    "cancel_reason": "ordered twice",
}
_JOB_RESCHEDULED: Answer = {
    **_JOB,
    **JOB_SUMMARY,
    "state": "scheduled",
    "run_at": "2026-02-01T09:00:00Z",
    "attempt": 0,
    "attempts_left": 8,
    "worker": None,
    "started_at": None,
    "finished_at": None,
    "progress": None,
}
ATTEMPT: Answer = {
    "attempt": 1,
    "outcome": "succeeded",
    "worker": "worker-1",
    "started_at": "2026-01-31T09:00:01Z",
    "finished_at": "2026-01-31T09:00:02Z",
}
_JOB_IN_FULL: Answer = {**_JOB, "attempts": [ATTEMPT]}
_JOBS: Answer = page("jobs", _JOB)

_JOB_LISTED: Answer = {
    "id": JOB_ID,
    "outcome": "cancelled",
    "links": {"self": f"/v1/jobs/{JOB_ID}"},
}
_CANCELLATION_LINKS: Answer = {
    "self": "/v1/cancellations/1207",
    "jobs": "/v1/cancellations/1207/jobs",
    "continue": "/v1/cancellations/1207/continue",
}
_CANCELLATION: Answer = {
    "id": 1207,
    "created_at": "2026-01-31T09:00:00Z",
    "created_by": "ops (0f1e2d3c4b5a)",
    "why": "ordered twice",
    "jobs": 1200,
    "open": 700,
    "cancelled": 498,
    "asked": 1,
    "ended": 1,
    "unknown": 0,
    "links": _CANCELLATION_LINKS,
}
_JOBS_CANCELLED: Answer = {"id": 1207, "jobs": [_JOB_LISTED], "links": _CANCELLATION_LINKS}

_OVERDUE_JOBS: Answer = {
    "overdue_jobs": [
        {
            "id": JOB_ID,
            "kind": "email.send",
            "queue": "email",
            "state": "queued",
            "since": "2026-01-31T09:00:00Z",
            "why": "it was published, and no worker has claimed it",
            "links": {"self": f"/v1/jobs/{JOB_ID}"},
        }
    ]
}

_BATCH: Answer = {
    "id": _BATCH_ID,
    "state": "open",
    "generation": 1,
    "members": 20,
    "open": 7,
    "succeeded": 13,
    "dead": 0,
    "cancelled": 0,
    "callbacks": {"on_success": "email.send"},
    "subject": None,
    "parent_id": None,
    "submitted_by": "shop (0f1e2d3c4b5a)",
    "created_at": "2026-01-31T09:00:00Z",
    "sealed_at": "2026-01-31T09:00:00Z",
    "first_death_at": None,
    "cancelled_at": None,
    "settled_at": None,
    "links": {
        "self": f"/v1/batches/{_BATCH_ID}",
        "jobs": f"/v1/batches/{_BATCH_ID}/jobs",
        "cancel": f"/v1/batches/{_BATCH_ID}/cancel",
    },
}
_BATCH_CANCELLED: Answer = {
    **_BATCH,
    "state": "cancelling",
    "cancelled_at": "2026-01-31T09:00:05Z",
    "links": {"self": f"/v1/batches/{_BATCH_ID}", "jobs": f"/v1/batches/{_BATCH_ID}/jobs"},
}
_BATCH_SUBMITTED: Answer = {
    "id": _BATCH_ID,
    "state": "open",
    "job_ids": [JOB_ID],
    "links": _BATCH["links"],
}


JOB_ANSWERS: Answer = {
    "JobSummary": JOB_SUMMARY,
    "JobCancelled": _JOB_CANCELLED,
    "JobRescheduled": _JOB_RESCHEDULED,
    "JobInFull": _JOB_IN_FULL,
    "JobPage": _JOBS,
    "CancellationShown": _CANCELLATION,
    "JobsListed": page("jobs", _JOB_LISTED),
    "JobsCancelled": _JOBS_CANCELLED,
    "OverdueJobs": _OVERDUE_JOBS,
    "BatchShown": _BATCH,
    "BatchPage": page("batches", _BATCH),
    "BatchCancelled": _BATCH_CANCELLED,
    "BatchSubmitted": _BATCH_SUBMITTED,
}
