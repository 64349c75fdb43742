"""Example answers of the library's routes, for the API's documentation."""

from typing import Any

_JOB_ID = "01920000-0000-7000-8000-000000000001"
_BATCH_ID = "019475a0-0000-7000-8000-000000000001"
_ERROR = {"error_type": "SMTPConnectError", "error_message": "the mail server is unreachable"}

Answer = dict[str, Any]


def page(name: str, example: Answer) -> Answer:
    """A page that has one row in the list of that name, and is the last."""
    return {name: [example], "next_cursor": None}


JOB_SUMMARY: Answer = {
    "id": _JOB_ID,
    "kind": "email.send",
    "queue": "email",
    "state": "queued",
    "links": {
        "self": f"/v1/jobs/{_JOB_ID}",
        "cancel": f"/v1/jobs/{_JOB_ID}/cancel",
        "reschedule": f"/v1/jobs/{_JOB_ID}/reschedule",
    },
}
_JOB: Answer = {
    **JOB_SUMMARY,
    "state": "succeeded",
    "links": {"self": f"/v1/jobs/{_JOB_ID}", "children": f"/v1/jobs?parent={_JOB_ID}"},
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
_ATTEMPT: Answer = {
    "attempt": 1,
    "outcome": "succeeded",
    "worker": "worker-1",
    "started_at": "2026-01-31T09:00:01Z",
    "finished_at": "2026-01-31T09:00:02Z",
}
_JOB_IN_FULL: Answer = {**_JOB, "attempts": [_ATTEMPT]}
_JOBS: Answer = page("jobs", _JOB)

_JOB_LISTED: Answer = {
    "id": _JOB_ID,
    "outcome": "cancelled",
    "links": {"self": f"/v1/jobs/{_JOB_ID}"},
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
            "id": _JOB_ID,
            "kind": "email.send",
            "queue": "email",
            "state": "queued",
            "since": "2026-01-31T09:00:00Z",
            "why": "it was published, and no worker has claimed it",
            "links": {"self": f"/v1/jobs/{_JOB_ID}"},
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
    "job_ids": [_JOB_ID],
    "links": _BATCH["links"],
}

_EVENT: Answer = {
    "id": _JOB_ID,
    "exchange": "shop",
    "routing_key": "order.shipped",
    "type": "order.shipped",
    "state": "sent",
    "size": 120,
    "failures": 0,
    "created_at": "2026-01-31T10:00:00Z",
    "deferred_until": None,
    "sent_at": "2026-01-31T10:00:01Z",
}
_LETTER: Answer = {
    "id": 1042,
    "job_id": _JOB_ID,
    "kind": "email.send",
    "queue": "email",
    "reason": "exhausted",
    **_ERROR,
    "died_at": "2026-01-31T10:00:00Z",
    "collected_at": "2026-01-31T10:00:01Z",
    "closed_at": None,
    "resolution": None,
    "closed_by": None,
    "close_reason": None,
    "outgoing_id": None,
    "links": {
        "self": "/v1/dead-letters/1042",
        "replay": "/v1/dead-letters/1042/replay",
        "discard": "/v1/dead-letters/1042/discard",
        "job": f"/v1/jobs/{_JOB_ID}",
    },
}
_LETTER_IN_FULL: Answer = {
    **_LETTER,
    "attempts": [{**_ATTEMPT, "outcome": "failed", **_ERROR}],
    "message": {"size": 2, "body": "{}", "headers": {}},
}
_LETTERS: Answer = page("dead_letters", _LETTER)
_CLOSED: Answer = {
    "closed_at": "2026-01-31T11:00:00Z",
    "closed_by": "ops (0f1e2d3c4b5a)",
    "links": {"self": "/v1/dead-letters/1042", "job": f"/v1/jobs/{_JOB_ID}"},
}
_LETTER_REPLAYED: Answer = {**_LETTER, **_CLOSED, "resolution": "replayed"}
_LETTER_DISCARDED: Answer = {**_LETTER, **_CLOSED, "resolution": "discarded"}

_KINDS: Answer = {
    "kinds": [
        {
            "name": "email.send",
            "queue": "email",
            "priority": "normal",
            "open_to_clients": True,
            "attempts": 8,
            "time_limit_seconds": 720.0,
            "sensitive": ["to", "text"],
            "unique": None,
            "payload_schema": {
                "type": "object",
                "properties": {"to": {"type": "string"}, "text": {"type": "string"}},
                "required": ["to", "text"],
            },
        }
    ]
}
_QUEUES: Answer = {
    "queues": [
        {
            "name": "email",
            "due": 3,
            "high": 1,
            "normal": 2,
            "low": 0,
            "oldest_seconds": 0.2,
            "scheduled": 4,
            "queued": 9,
            "running": 1,
            "overdue": 0,
            "dead": 1,
            "paused": None,
        }
    ]
}
_PAUSED_QUEUE: Answer = {
    "name": "email",
    "paused": {
        "since": "2026-01-31T09:00:00Z",
        "who": "operator",
        "why": "the mail server is down",
    },
}
_LIMITS: Answer = {
    "limits": [{"key": "endpoint:17", "at_most": 1, "running": 1, "admitted": 0, "waiting": 12}],
    "next_cursor": None,
}
_WORKERS: Answer = {
    "workers": [
        {
            "name": "worker-1",
            "queues": ["documents", "email"],
            "threads": 16,
            "tasks": 100,
            "silent_seconds": 0.4,
            "alive": True,
        }
    ]
}

_SCHEDULE: Answer = {
    "name": "reminders.send",
    "source": "runtime",
    "cron": "0 2 * * *",
    "zone": "Europe/Berlin",
    "kind": "email.send",
    "queue": "email",
    "priority": "normal",
    "payload": {"to": "[redacted]", "subject": "Hello", "text": "[redacted]"},
    "subject": None,
    "overlap": "skip",
    "missed": "run_once",
    "catch_up_seconds": 3600,
    "jitter_seconds": 0,
    "version": 1,
    "paused_at": None,
    "next_due_at": "2026-02-01T01:00:00Z",
    "created_at": "2026-01-31T09:00:00Z",
    "updated_at": "2026-01-31T09:00:00Z",
    "links": {
        "self": "/v1/schedules/reminders.send",
        "ticks": "/v1/schedules/reminders.send/ticks",
        "run": "/v1/schedules/reminders.send/run",
        "backfill": "/v1/schedules/reminders.send/backfill",
        "pause": "/v1/schedules/reminders.send/pause",
    },
}
_TICK: Answer = {
    "due_at": "2026-01-31T01:00:00Z",
    "outcome": "made",
    "why": None,
    "job_id": _JOB_ID,
    "recorded_at": "2026-01-31T01:00:00Z",
    "links": {"job": f"/v1/jobs/{_JOB_ID}"},
}
_SCHEDULE_IN_FULL: Answer = {
    **_SCHEDULE,
    "next_runs": ["2026-02-01T01:00:00Z", "2026-02-02T01:00:00Z"],
    "ticks": [_TICK],
}

_ALIVE: Answer = {"status": "alive"}
_READY: Answer = {"status": "ready", "postgres": "ok", "broker": "ok", "outbox_lag_seconds": 0.0}
_NOT_READY: Answer = {**_READY, "status": "not ready", "postgres": "unreachable"}
_PROBLEM: Answer = {
    "type": "/problems/not-found",
    "status": 404,
    "title": "There is no such thing",
    "meaning": "Check the address.",
}
_PROBLEMS: Answer = {"problems": [_PROBLEM]}
_INDEX: Answer = {
    "links": {
        "docs": "/docs",
        "openapi": "/openapi.json",
        "jobs": "/v1/jobs",
        "dead_letters": "/v1/dead-letters",
        "health": "/healthz",
    }
}

ANSWERS = {
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
    "EventPage": page("events", _EVENT),
    "LetterInFull": _LETTER_IN_FULL,
    "LetterPage": _LETTERS,
    "LetterReplayed": _LETTER_REPLAYED,
    "LetterDiscarded": _LETTER_DISCARDED,
    "SchedulePage": page("schedules", _SCHEDULE),
    "ScheduleShown": _SCHEDULE,
    "ScheduleInFull": _SCHEDULE_IN_FULL,
    "TickPage": page("ticks", _TICK),
    "JobsMade": {"job_ids": [_JOB_ID]},
    "KindList": _KINDS,
    "QueueList": _QUEUES,
    "PausedQueue": _PAUSED_QUEUE,
    "KeyPage": _LIMITS,
    "WorkerList": _WORKERS,
    "Alive": _ALIVE,
    "Ready": _READY,
    "NotReady": _NOT_READY,
    "Index": _INDEX,
    "ProblemList": _PROBLEMS,
    "ProblemMeaning": _PROBLEM,
}
"""By their names in OpenAPI."""
