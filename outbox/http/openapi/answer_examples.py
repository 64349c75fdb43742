"""Example answers of the library's routes, for the API's documentation."""

from outbox.http.openapi.job_examples import ATTEMPT, ERROR, JOB_ANSWERS, JOB_ID, Answer, page

_EVENT: Answer = {
    "id": JOB_ID,
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
    "job_id": JOB_ID,
    "kind": "email.send",
    "queue": "email",
    "reason": "exhausted",
    **ERROR,
    "died_at": "2026-01-31T10:00:00Z",
    "collected_at": "2026-01-31T10:00:01Z",
    "closed_at": None,
    "resolution": None,
    "closed_by": None,
    "close_reason": None,
    "outgoing_id": None,
    "looked_at": None,
    "links": {
        "self": "/v1/dead-letters/1042",
        "replay": "/v1/dead-letters/1042/replay",
        "discard": "/v1/dead-letters/1042/discard",
        "job": f"/v1/jobs/{JOB_ID}",
    },
}
_LETTER_IN_FULL: Answer = {
    **_LETTER,
    "attempts": [{**ATTEMPT, "outcome": "failed", **ERROR}],
    "message": {"size": 2, "body": "{}", "headers": {}},
}
_LETTERS: Answer = page("dead_letters", _LETTER)
_CLOSED: Answer = {
    "closed_at": "2026-01-31T11:00:00Z",
    "closed_by": "ops (0f1e2d3c4b5a)",
    "links": {"self": "/v1/dead-letters/1042", "job": f"/v1/jobs/{JOB_ID}"},
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
            "owner": "messaging",
            "idempotency": "the same Message-ID; an uncertain answer is tried once more",
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
            "due": 1000003,
            "high": 3,
            "normal": 1000000,
            "low": 0,
            "held": 2,
            "scheduled": 4,
            "published": 991,
            "queued": 1001000,
            "running": 16,
            "work": 1001010,
            "overdue": 0,
            "dead": 1,
            "oldest_seconds": 70.2,
            "oldest_queued_seconds": 71.4,
            "workers": 1,
            "paused": None,
            "estimated": ["due", "normal", "queued", "work"],
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
_LIMIT: Answer = {
    "key": "endpoint:17",
    "at_most": None,
    "rate": {"permits": 10, "per_seconds": 60.0, "burst": 3},
    "since": "2026-01-31T09:00:00Z",
    "who": "operator",
    "why": "the receiver has asked for it",
}
_LIMITS: Answer = {
    "limits": [
        {
            "key": "endpoint:17",
            "at_most": 1,
            "rate": {"permits": 10, "per_seconds": 60.0, "burst": 3},
            "running": 1,
            "admitted": 0,
            "dead": 0,
            "waiting": 12,
            "paused_until": None,
            "set": _LIMIT,
        }
    ],
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
    "job_id": JOB_ID,
    "recorded_at": "2026-01-31T01:00:00Z",
    "links": {"job": f"/v1/jobs/{JOB_ID}"},
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
    **JOB_ANSWERS,
    "EventPage": page("events", _EVENT),
    "LetterInFull": _LETTER_IN_FULL,
    "LetterPage": _LETTERS,
    "LetterReplayed": _LETTER_REPLAYED,
    "LetterDiscarded": _LETTER_DISCARDED,
    "SchedulePage": page("schedules", _SCHEDULE),
    "ScheduleShown": _SCHEDULE,
    "ScheduleInFull": _SCHEDULE_IN_FULL,
    "TickPage": page("ticks", _TICK),
    "JobsMade": {"job_ids": [JOB_ID]},
    "KindList": _KINDS,
    "QueueList": _QUEUES,
    "PausedQueue": _PAUSED_QUEUE,
    "KeyPage": _LIMITS,
    "LimitShown": _LIMIT,
    "WorkerList": _WORKERS,
    "Alive": _ALIVE,
    "Ready": _READY,
    "NotReady": _NOT_READY,
    "Index": _INDEX,
    "ProblemList": _PROBLEMS,
    "ProblemMeaning": _PROBLEM,
}
"""By their names in OpenAPI."""
