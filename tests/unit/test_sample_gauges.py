"""What a scrape shows of a sample: `other` beyond the bound, and nothing once it is old."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest

from outbox.kinds import Kinds
from outbox.listeners import measures
from outbox.maintenance.sampling.sampled import Sampled
from outbox.maintenance.sampling.totals import Totals
from outbox.metrics import sampled
from outbox.metrics.labels import MOST_VALUES
from outbox.metrics.processes import RelayMetrics
from outbox.operations.backlog.queue_status import QueueStatus
from outbox.relay.duties import Duties


@pytest.fixture
def metrics() -> Iterator[RelayMetrics]:
    metrics = RelayMetrics()
    yield metrics
    metrics.close()


def tell(queues: Sequence[QueueStatus]) -> None:
    """A sample of these queues."""
    totals = Totals(
        closed_letters={"day": 2},
        unseen_seconds=3,
        schedule_lag_seconds=4,
        message_seconds=6,
        open_batches=5,
    )
    measures.emit(Sampled(queues=queues, totals=totals, broken={"dead_without_letter": 1}))


def queue(name: str, dead: int, oldest: float | None) -> QueueStatus:
    return QueueStatus(name, dead=dead, unpublished_seconds=oldest)


def test_queues_beyond_the_bound_are_added_up_and_the_oldest_of_them_is_shown(
    metrics: RelayMetrics,
) -> None:
    ages = [float(number) for number in range(MOST_VALUES + 3)]
    tell([queue(f"q{age:.0f}", 1, age) for age in ages])
    value = metrics.registry.get_sample_value
    assert value("duly_dead_letters", {"queue": "q0"}) == 1
    assert value("duly_dead_letters", {"queue": "other"}) == 3
    assert value("duly_oldest_due_seconds", {"queue": "other"}) == ages[-1]


def test_an_age_of_nothing_is_0(metrics: RelayMetrics) -> None:
    tell([queue("q", 0, None)])
    assert metrics.registry.get_sample_value("duly_oldest_due_seconds", {"queue": "q"}) == 0


def test_before_the_first_sample_and_after_an_old_one_there_are_no_series(
    metrics: RelayMetrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    value = metrics.registry.get_sample_value
    assert value("duly_open_batches") is None
    assert value("duly_sample_timestamp_seconds") == 0
    tell([])
    assert value("duly_open_batches") == 5
    assert value("duly_promise_broken", {"promise": "dead_without_letter"}) == 1
    monkeypatch.setattr(sampled, "STALE_AFTER_SECONDS", -1.0)
    assert value("duly_open_batches") is None
    assert (value("duly_sample_timestamp_seconds") or 0) > 0


def test_the_next_sample_takes_the_place_of_the_one_before(metrics: RelayMetrics) -> None:
    tell([queue("gone", 1, None)])
    tell([queue("q", 1, None)])
    assert metrics.registry.get_sample_value("duly_dead_letters", {"queue": "gone"}) is None


def test_a_relay_samples_only_where_its_metrics_are_asked_for() -> None:
    def samples() -> bool:
        a_while = timedelta(seconds=10)
        about: Any = {"window": 1, "kinds": Kinds(), "silence": a_while, "patience": a_while}
        return "sampler" in Duties("postgresql://", "amqp://", [], **about).others

    assert not samples()
    metrics = RelayMetrics()
    assert samples()
    metrics.close()
    assert not samples()
