"""Steps that know a job's id find it by that, whatever the statistics say of its state."""

import json
from typing import Any
from uuid import UUID, uuid4

import pytest

from outbox.http import readiness
from outbox.postgres.session_settings import TRANSITION_SETTINGS, connect
from outbox.store import transitions
from tests.support.engine.by_hand import KIND, WHAT_WENT_WRONG, ByHand, wanted

FINISHED = """
INSERT INTO duly.jobs (id, kind, queue, priority, payload, state, attempt_limit, attempt_budget)
SELECT gen_random_uuid(), 'test.note', 'q', 1, '{}', 'succeeded', 3, 3
FROM generate_series(1, 20000)
"""
JOB = {"job_id": uuid4(), "dispatch": 1}
CLAIM = {"id": [uuid4()] * 10, "dispatch": [1] * 10, "worker": "w1"}
FENCE = CLAIM | {"attempt": [1] * 10}
TRACE = {"trace": [""] * 10}
ERROR = FENCE | {name: [value] * 10 for name, value in WHAT_WENT_WRONG.items()}
GRAVE = CLAIM | {
    name: ["x"] * 10 for name in ("kind", "queue", "reason", "error_type", "error_message")
}
RATED = CLAIM | {"kind": [KIND] * 10, "spacings": ["{9}"] * 10, "bursts": ["{3}"] * 10}
BY_ID: dict[str, dict[str, Any]] = {
    "CLAIM": CLAIM | {"kind": [KIND] * 10},
    "CLAIM_LIMITED": CLAIM | {"kind": [KIND] * 10},
    "CLAIM_RATED": RATED,
    "CLAIM_UNIQUE": CLAIM | {"kind": [KIND] * 10},
    "CLAIM_UNIQUE_LIMITED": CLAIM | {"kind": [KIND] * 10},
    "CLAIM_UNIQUE_RATED": RATED,
    "SUCCEED": FENCE | {"result": ["null"] * 10},
    "SUCCEED_MEMBER": FENCE | {"result": ["null"] * 10},
    "RETRY": ERROR | TRACE | {"delay_seconds": [0.0] * 10},
    "SNOOZE": FENCE | TRACE | {"delay_seconds": [0.0] * 10},
    "RATE_LIMITED": FENCE | TRACE | {"delay_seconds": [0.0] * 10, "bursts": ["{3}"] * 10},
    "DIE": ERROR | TRACE | {"reason": ["exhausted"] * 10},
    "STEP": {"id": uuid4(), "dispatch": 1, "attempt": 1, "worker": "w1", "checkpoint": "1"},
    "SAVE_PROGRESS": FENCE | {"progress": ['{"done": 1}'] * 10},
    "STOP": FENCE,
    "CANCEL": {"ids": [uuid4()] * 10, "by": "ann", "why": None},
    "RESCHEDULE": {
        "id": uuid4(),
        "run_at": None,
        "priority": 0,
        "queue": None,
        "by": "ann",
        "why": None,
    },
    "DIE_UNCLAIMED": GRAVE,
    "POSTPONE": FENCE
    | TRACE
    | {
        "kind": [""] * 10,
        "queue": [""] * 10,
        "why": ["new"] * 10,
        "patience_seconds": [1.0] * 10,
    },
    "REDISPATCH": JOB | {"kind": KIND, "queue": "q", "delay_seconds": 0},
    "REDISPATCH_LOST": {"queues": ["q"], "depths": [0], "patience_seconds": 0},
}


@pytest.mark.parametrize("step", BY_ID)
def test_no_step_reads_all_jobs_of_a_state_to_find_one(by_hand: ByHand, step: str) -> None:
    by_hand.take(FINISHED)
    by_hand.take("VACUUM ANALYZE duly.jobs")
    explain = "EXPLAIN " + getattr(transitions, step)
    plan = "\n".join(row["QUERY PLAN"] for row in by_hand.take(explain, **BY_ID[step]))
    assert "jobs_pkey" in plan
    assert "Seq Scan on jobs" not in plan
    assert "jobs_queued" not in plan
    assert "jobs_running" not in plan


def test_a_worker_finds_the_jobs_to_cancel_without_reading_others(by_hand: ByHand) -> None:
    by_hand.take(FINISHED)
    by_hand.take("VACUUM ANALYZE duly.jobs")
    plan = by_hand.take(f"EXPLAIN {transitions.JOBS_TO_CANCEL}", worker="w1")
    assert "jobs_to_cancel" in "\n".join(row["QUERY PLAN"] for row in plan)


def test_readiness_reads_no_backlog(by_hand: ByHand, database_url: str) -> None:
    by_hand.submit()
    explain = "EXPLAIN " + readiness.OLDEST_DUE.text.replace(":queues", "%s")
    with connect(database_url, {"enable_seqscan": "off"}) as connection:
        plan = "\n".join(row[0] for row in connection.execute(explain, [["q"]]))
    assert "Index Only Scan using outbox_events_to_publish" in plan
    assert "Sort" not in plan


def test_queues_are_found_by_the_indexes_of_their_events(by_hand: ByHand) -> None:
    by_hand.take("SET enable_seqscan = off")
    plan = by_hand.take(f"EXPLAIN {transitions.QUEUES_IN_USE}")
    assert "Seq Scan on outbox_events" not in "\n".join(row["QUERY PLAN"] for row in plan)


ROWS_READ = """
SELECT sum(seq_scan + seq_tup_read + idx_tup_fetch)
FROM pg_stat_xact_user_tables WHERE schemaname = 'duly'
"""


MESSAGES = json.dumps(
    [
        {"id": str(uuid4()), "exchange": "x", "routing_key": "k", "type": "t"}
        | {"properties": "", "body": ""}
        for _ in range(3)
    ]
)
KEPT = BY_ID | {
    "LOCK_EVENTS": wanted(another=10),
    "DELETE_EVENTS": {"job_id": [uuid4()] * 10, "dispatch": [1] * 10},
    "DEFER_EVENTS": {"job_id": [uuid4()] * 10, "dispatch": [1] * 10},
    "DEFER_MESSAGES": {"id": [uuid4()] * 10, "failures": [1] * 10},
}


OTHERS_KEYS = [
    (
        "INSERT INTO duly.unique_keys (kind, key, job_id, until)"
        " SELECT 'k', id, id, 'started' FROM duly.jobs"
    ),
    "INSERT INTO duly.key_holders (key, job_id, dispatch) SELECT id, id, dispatch FROM duly.jobs",
    (
        "INSERT INTO duly.refusals (job_id, dispatch, since, why)"
        " SELECT id, dispatch, now(), 'new' FROM duly.jobs"
    ),
    "INSERT INTO duly.key_clocks (key, tat) SELECT id, now() FROM duly.jobs",
    "INSERT INTO duly.key_limits (key, at_most, who) SELECT id, 1, 'ann' FROM duly.jobs",
    (
        "INSERT INTO duly.dead_letters (job_id, dispatch, kind, queue, reason)"
        " SELECT id, 0, kind, queue, 'refused' FROM duly.jobs"
    ),
]


@pytest.mark.parametrize(
    "step",
    [
        *(
            *("CLAIM", "CLAIM_LIMITED", "CLAIM_RATED"),
            *("CLAIM_UNIQUE", "CLAIM_UNIQUE_LIMITED", "CLAIM_UNIQUE_RATED"),
            *("SUCCEED", "SUCCEED_MEMBER"),
            *("RETRY", "SNOOZE", "RATE_LIMITED"),
            "DIE",
            "POSTPONE",
            "DIE_UNCLAIMED",
        ),
        *("STEP", "SAVE_PROGRESS", "STOP", "CANCEL"),
        *("LOCK_EVENTS", "DELETE_EVENTS", "DEFER_EVENTS", "DEFER_MESSAGES"),
    ],
)
def test_a_plan_that_is_kept_reads_no_other_rows_however_few_there_are(
    by_hand: ByHand, database_url: str, step: str
) -> None:
    """None has the ids asked for. The tables grow, and the plan stays."""
    by_hand.take("TRUNCATE duly.jobs, duly.outbox_events, duly.outgoing_messages")
    for _ in range(3):
        by_hand.submit()
    for statement in OTHERS_KEYS:
        by_hand.take(statement)
    by_hand.take(transitions.PUBLISH, messages=MESSAGES)
    by_hand.take("VACUUM ANALYZE duly.jobs, duly.outbox_events, duly.outgoing_messages")
    with connect(database_url, TRANSITION_SETTINGS) as connection, connection.transaction():
        connection.execute(getattr(transitions, step), KEPT[step])
        read = connection.execute(ROWS_READ).fetchone()
    assert read == (0,)


@pytest.mark.parametrize("step", ["CANCEL", "DIE_UNCLAIMED"])
def test_a_plan_that_is_kept_finds_one_of_many_jobs(
    by_hand: ByHand, database_url: str, step: str
) -> None:
    jobs = [by_hand.submit() for _ in range(40)]
    given: dict[str, Any] = {"ids": jobs[:1], "by": "ann", "why": None}
    given |= {"id": jobs[:1], "dispatch": [1], "kind": [KIND], "queue": ["q"]}
    given |= {name: ["x"] for name in ("reason", "error_type", "error_message")}
    by_hand.take("VACUUM ANALYZE duly.jobs, duly.outbox_events")
    with connect(database_url, TRANSITION_SETTINGS) as connection, connection.transaction():
        assert connection.execute(getattr(transitions, step), given).rowcount == 1
        (read,) = connection.execute(ROWS_READ).fetchone() or (0,)
    assert 0 < read < 10


CLAIMS = [
    "CLAIM_LIMITED",
    "CLAIM_RATED",
    "CLAIM_UNIQUE",
    "CLAIM_UNIQUE_LIMITED",
    "CLAIM_UNIQUE_RATED",
]
MANY = 40
OVER = "UPDATE duly.key_clocks SET not_before = now() + interval '1 hour'"
STARTED = "UPDATE duly.jobs SET state = 'running', attempt = 1, worker = 'w1'"


@pytest.mark.parametrize("before", ["SELECT", OVER], ids=["free", "over"])
@pytest.mark.parametrize("step", CLAIMS)
def test_a_claim_reads_no_key_of_other_jobs(
    by_hand: ByHand, database_url: str, step: str, before: str
) -> None:
    job = _one_of_many_with_keys(by_hand)
    by_hand.take(before)
    assert _rows_read(database_url, step, RATED, job) < MANY


@pytest.mark.parametrize("step", ["CLAIM_UNIQUE", "CLAIM_UNIQUE_LIMITED", "CLAIM_UNIQUE_RATED"])
def test_a_claim_whose_key_is_busy_reads_no_other_jobs(
    by_hand: ByHand, database_url: str, step: str
) -> None:
    job = _one_of_many_with_keys(by_hand)
    with connect(database_url) as other, other.transaction():
        other.execute("SELECT FROM duly.unique_keys FOR UPDATE")
        assert _rows_read(database_url, step, RATED, job) < MANY


@pytest.mark.parametrize("step", ["RATE_LIMITED", "SAVE_PROGRESS", "POSTPONE"])
def test_a_running_job_is_written_without_reading_others(
    by_hand: ByHand, database_url: str, step: str
) -> None:
    job = _one_of_many_with_keys(by_hand)
    by_hand.take(STARTED)
    assert _rows_read(database_url, step, BY_ID[step], job) < MANY


def _one_of_many_with_keys(by_hand: ByHand) -> UUID:
    by_hand.take("TRUNCATE duly.jobs, duly.outbox_events")
    jobs = [by_hand.submit() for _ in range(MANY)]
    by_hand.take("UPDATE duly.jobs SET keys = ARRAY[id::text], replays = 1")
    for statement in OTHERS_KEYS:
        by_hand.take(statement)
    by_hand.take("VACUUM ANALYZE duly.jobs, duly.outbox_events")
    return jobs[0]


def _rows_read(database_url: str, step: str, given: dict[str, Any], job: UUID) -> int:
    """How many rows the step reads to do its work for this job alone."""
    one = {name: value[:1] if isinstance(value, list) else value for name, value in given.items()}
    with connect(database_url, TRANSITION_SETTINGS) as connection, connection.transaction():
        connection.execute(getattr(transitions, step), one | {"id": [job]})
        (read,) = connection.execute(ROWS_READ).fetchone() or (0,)
    return int(read)
