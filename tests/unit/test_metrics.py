"""A process's metrics: their bound, their server, and what is counted of which event."""

from collections.abc import Iterator

import pytest

from outbox.metrics.labels import MOST_VALUES, OTHER
from outbox.metrics.registry import Metrics
from outbox.metrics.server import MetricsServer


def test_each_process_begins_at_zero_with_metrics_of_its_own() -> None:
    first, second = Metrics(), Metrics()
    for metrics in (first, second):
        metrics.counter("duly_things_total", "Things.").of().inc()
    assert first.registry.get_sample_value("duly_things_total") == 1
    assert second.registry.get_sample_value("duly_things_total") == 1


def test_a_label_has_so_many_values_and_the_others_are_counted_together() -> None:
    metrics = Metrics()
    things = metrics.counter("duly_things_total", "Things.", "kind", "outcome")
    for _ in range(2):
        for n in range(1000):
            things.of(f"kind.{n}", "good").inc()

    shown = dict(_values_of(metrics, "duly_things_total", "kind"))
    assert len(shown) == MOST_VALUES + 1
    assert shown["kind.0"] == shown[f"kind.{MOST_VALUES - 1}"] == 2
    assert shown[OTHER] == 2 * (1000 - MOST_VALUES)


def test_a_value_is_shown_or_other_in_all_metrics_alike() -> None:
    metrics = Metrics()
    things = metrics.counter("duly_things_total", "Things.", "kind")
    seconds = metrics.histogram("duly_things_seconds", "Time.", "kind", buckets=(1,))
    for n in range(MOST_VALUES):
        things.of(f"kind.{n}").inc()
    seconds.of("kind.late").observe(0.5)
    seconds.of("kind.0").observe(0.5)
    names = {kind for kind, _ in _values_of(metrics, "duly_things_seconds", "kind")}
    assert names == {OTHER, "kind.0"}


def test_there_is_no_second_series_for_when_one_was_made() -> None:
    metrics = Metrics()
    metrics.counter("duly_things_total", "Things.").of().inc()
    names = {sample.name for each in metrics.registry.collect() for sample in each.samples}
    assert "duly_things_total" in names
    assert [name for name in names if name.endswith("_created")] == []


def test_a_port_is_free_again_once_the_server_is_closed() -> None:
    server = MetricsServer(Metrics(), "127.0.0.1", 0)
    with pytest.raises(OSError, match="in use"):
        MetricsServer(Metrics(), "127.0.0.1", server.port)
    server.close()
    MetricsServer(Metrics(), "127.0.0.1", server.port).close()


@pytest.mark.parametrize("host", ["256.0.0.1", "no.such.host.invalid", "a..b", "192.0.2.1"])
def test_a_host_that_is_not_this_machine_is_an_os_error(host: str) -> None:
    with pytest.raises(OSError):
        MetricsServer(Metrics(), host, 0)


def _values_of(metrics: Metrics, name: str, label: str) -> Iterator[tuple[str, float]]:
    for family in metrics.registry.collect():
        if name in (family.name, f"{family.name}_total"):
            for sample in family.samples:
                yield sample.labels[label], sample.value
