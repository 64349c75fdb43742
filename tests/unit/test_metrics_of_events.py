"""What a worker and a relay count of their events and measures."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from pydantic import BaseModel

from outbox import Kind, events
from outbox.amqp.connection import BrokerGone
from outbox.events import emit
from outbox.listeners import measures
from outbox.metrics.processes import RelayMetrics, WorkerMetrics
from outbox.metrics.registry import Metrics
from outbox.relay.reached import telling_losses


class Empty(BaseModel):
    """No payload."""


JOB: Any = {"job_id": uuid4(), "kind": "mail"}
IN_QUEUE: Any = JOB | {"queue": "slow"}
ATTEMPT: Any = IN_QUEUE | {"worker": "w", "attempt": 1}
ERROR: Any = {"error_type": "E", "error": "e"}


@pytest.fixture
def worker() -> Iterator[Metrics]:
    metrics = WorkerMetrics()
    yield metrics
    metrics.close()


@pytest.fixture
def relay() -> Iterator[Metrics]:
    metrics = RelayMetrics()
    yield metrics
    metrics.close()


def counted(metrics: Metrics, name: str) -> dict[str, float]:
    """A counter's series by the values of its labels."""
    return {
        " ".join(sample.labels.values()): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == name
    }


def test_counters_of_known_kinds_begin_at_zero(worker: Metrics, relay: Metrics) -> None:
    """Prometheus sees no increase where a series begins at 1."""
    for metrics in (worker, relay):
        metrics.begin_at_zero([Kind("mail", Empty, queue="slow")])
    assert counted(worker, "duly_retries_total") == {"mail": 0}
    assert counted(worker, "duly_claims_total") == {"slow": 0}
    assert counted(worker, "duly_attempts_total")["mail failed"] == 0
    assert counted(worker, "duly_dead_total")["mail exhausted"] == 0
    assert counted(relay, "duly_attempts_total") == {"mail crashed": 0}
    assert counted(relay, "duly_rescues_total") == {"mail": 0}
    assert counted(relay, "duly_ticks_total") == {"made": 0, "skipped": 0}
    assert counted(relay, "duly_redispatches_total") == {"slow": 0}


def test_each_end_of_an_attempt_is_counted_once(worker: Metrics) -> None:
    emit(events.Succeeded(**ATTEMPT, seconds=0.3))
    for outcome in ("failed", "timed_out", "uncertain"):
        emit(events.Failed(**ATTEMPT, **ERROR, outcome=outcome, seconds=0.3))
        emit(events.Retried(**ATTEMPT, **ERROR, delay_seconds=1))
    emit(events.Failed(**ATTEMPT, **ERROR, outcome="failed", seconds=0.3))
    emit(events.Died(**ATTEMPT, **ERROR, reason="exhausted"))
    emit(events.Failed(**ATTEMPT, **ERROR, outcome="failed", seconds=0.3))
    emit(events.Cancelled(**JOB))
    emit(events.Cancelled(**JOB, attempt=1))
    emit(events.Snoozed(**ATTEMPT, why="", delay_seconds=1, is_asked=True))
    emit(events.Snoozed(**ATTEMPT, why="", delay_seconds=1, is_asked=False))
    emit(events.Postponed(**ATTEMPT, why=""))
    emit(events.Postponed(**IN_QUEUE, worker="w", why=""))
    emit(events.Superseded(**ATTEMPT, why=""))

    assert counted(worker, "duly_attempts_total") == {
        "mail succeeded": 1,
        "mail failed": 3,
        "mail timed_out": 1,
        "mail uncertain": 1,
        "mail cancelled": 1,
        "mail snoozed": 2,
        "mail postponed": 1,
        "mail superseded": 1,
    }
    assert counted(worker, "duly_wasted_attempts_total") == {"mail": 5 + 1 + 1}
    assert counted(worker, "duly_retries_total") == {"mail": 3}
    assert counted(worker, "duly_dead_total") == {"mail exhausted": 1}
    assert counted(worker, "duly_run_seconds_count") == {"mail": 6}
    assert counted(worker, "duly_run_seconds_sum") == {"mail": pytest.approx(1.8)}


def test_only_the_first_attempt_tells_how_long_a_job_has_waited(worker: Metrics) -> None:
    emit(events.Started(**ATTEMPT, late_seconds=2.0))
    emit(events.Started(**ATTEMPT | {"attempt": 2}, late_seconds=3.0))
    assert counted(worker, "duly_start_delay_seconds_sum") == {"mail": 2}
    buckets = counted(worker, "duly_start_delay_seconds_bucket")
    assert (buckets["mail 1.0"], buckets["mail 2.5"]) == (0, 1)


def test_a_clock_that_was_set_back_makes_no_sum_smaller(worker: Metrics) -> None:
    emit(events.Started(**ATTEMPT, late_seconds=-60.0))
    assert counted(worker, "duly_start_delay_seconds_sum") == {"mail": 0}


def test_a_success_after_a_replay_tells_how_long_the_fix_took(worker: Metrics) -> None:
    emit(events.Succeeded(**ATTEMPT, seconds=0.3))
    assert counted(worker, "duly_fix_seconds_count") == {"": 0}  # there before the first one
    emit(events.Succeeded(**ATTEMPT, seconds=0.3, fix_seconds=3000.0))
    emit(events.Succeeded(**ATTEMPT, seconds=0.3, fix_seconds=-60.0))
    assert counted(worker, "duly_fix_seconds_count") == {"": 2}
    assert counted(worker, "duly_fix_seconds_sum") == {"": 3000}


def test_claims_and_commits_are_measured(worker: Metrics) -> None:
    emit(events.Claimed(**ATTEMPT))
    measures.emit(measures.EmptyClaim(queue="slow"))
    measures.emit(measures.GroupCommitted(statement="claim", jobs=7, seconds=0.004))
    emit(events.Submitted(**IN_QUEUE, run_at=None, parent_id=None))
    assert counted(worker, "duly_claims_total") == {"slow": 1}
    assert counted(worker, "duly_empty_claims_total") == {"slow": 1}
    assert counted(worker, "duly_group_commit_jobs_sum") == {"claim": 7}
    assert counted(worker, "duly_group_commit_seconds_sum") == {"claim": 0.004}
    assert counted(worker, "duly_submitted_total") == {"mail": 1}


def test_a_relay_counts_attempts_whose_worker_is_gone(relay: Metrics) -> None:
    emit(events.Rescued(**ATTEMPT))
    emit(events.Died(**ATTEMPT, **ERROR, reason="crashed"))
    emit(events.Died(**IN_QUEUE, error_type=None, error="", reason="unpublishable"))
    assert counted(relay, "duly_rescues_total") == {"mail": 2}
    assert counted(relay, "duly_attempts_total") == {"mail crashed": 2}
    assert counted(relay, "duly_wasted_attempts_total") == {"mail": 2}
    assert counted(relay, "duly_dead_total") == {"mail crashed": 1, "mail unpublishable": 1}


def test_a_relay_counts_messages_by_queue(relay: Metrics) -> None:
    sent, confirmed, returned = {"a": 5, "b": 2}, {"a": 4}, {"b": 1}
    batch = measures.BatchConfirmed(
        published=sent, confirmed=confirmed, returned=returned, seconds=0.02
    )
    measures.emit(batch)
    measures.emit(batch)
    measures.emit(measures.Redispatched(queue="a", jobs=3))
    measures.emit(measures.HeldBack(queue="b", jobs=4))
    assert counted(relay, "duly_published_total") == {"a": 10, "b": 4}
    assert counted(relay, "duly_confirmed_total") == {"a": 8}
    assert counted(relay, "duly_returned_total") == {"b": 2}
    assert counted(relay, "duly_confirm_seconds_count") == {"": 2}
    assert counted(relay, "duly_redispatches_total") == {"a": 3}
    assert counted(relay, "duly_held_back_total") == {"b": 4}


def test_a_relay_counts_ticks_and_those_that_were_missed(relay: Metrics) -> None:
    due: Any = {"schedule": "nightly", "due_at": datetime.now(UTC)}
    emit(events.TickMade(**IN_QUEUE, **due))
    emit(events.TickSkipped(**due, why="paused"))
    emit(events.TickSkipped(**due, why="missed: no relay made it in time"))
    assert counted(relay, "duly_ticks_total") == {"made": 1, "skipped": 2}
    assert counted(relay, "duly_missed_ticks_total") == {"": 1}


def test_a_relay_tells_which_servers_it_reaches(relay: Metrics) -> None:
    assert counted(relay, "duly_up") == {}  # none was tried
    measures.emit(measures.Reached(server="postgres", is_up=True))
    measures.emit(measures.Blocked(is_blocked=True))
    assert counted(relay, "duly_up") == {"postgres": 1}
    assert counted(relay, "duly_broker_blocked") == {"": 1}
    measures.emit(measures.Reached(server="postgres", is_up=False))
    measures.emit(measures.Blocked(is_blocked=False))
    assert counted(relay, "duly_up") == {"postgres": 0}
    assert counted(relay, "duly_broker_blocked") == {"": 0}


def test_a_broker_that_is_lost_does_not_block(relay: Metrics) -> None:
    measures.emit(measures.Blocked(is_blocked=True))
    with pytest.raises(BrokerGone), telling_losses():
        raise BrokerGone
    assert counted(relay, "duly_up") == {"broker": 0}
    assert counted(relay, "duly_broker_blocked") == {"": 0}


def test_where_no_metrics_are_asked_for_nothing_is_made_for_them() -> None:
    wanted = [each for each in measures.Measure.__subclasses__() if measures.is_wanted(each)]
    assert wanted == []
