"""Shows the last sample of Postgres. A scrape asks Postgres nothing.

Each relay samples for itself, so these gauges are aggregated by max.
"""

import time
from collections.abc import Iterable, Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from outbox.maintenance.sampling.sampled import Sampled
from outbox.metrics.registry import Metrics
from outbox.metrics.sample_gauges import GAUGES, SampleGauge, Series

STALE_AFTER_SECONDS = 30.0
"""A sample is shown for so long; after that its gauges have no series until the next one."""


class SampledGauges(Collector):
    """The gauges of a relay's samples, from now on."""

    def __init__(self, metrics: Metrics) -> None:
        self._bound = metrics.bound
        self._sampled_at = metrics.gauge(
            "duly_sample_timestamp_seconds", "When Postgres was last sampled."
        )
        self._last: tuple[float, Sampled] | None = None
        for gauge in GAUGES:
            metrics.describe(gauge.name, "gauge", *gauge.labels)
        metrics.registry.register(self)
        metrics.on(Sampled, self._note)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges, for a scrape on another thread."""
        sample = self._sample()
        for gauge in GAUGES:
            family = GaugeMetricFamily(gauge.name, gauge.about, labels=gauge.labels)
            for labels, value in self._series(gauge, sample) if sample else ():
                family.add_metric(labels, value)
            yield family

    def _note(self, sample: Sampled) -> None:
        self._last = time.monotonic(), sample
        self._sampled_at.of().set(time.time())

    def _sample(self) -> Sampled | None:
        if self._last is None or time.monotonic() - self._last[0] > STALE_AFTER_SECONDS:
            return None
        return self._last[1]

    def _series(self, gauge: SampleGauge, sample: Sampled) -> Iterable[Series]:
        shown: dict[tuple[str, ...], float] = {}
        for values, value in gauge.series(sample):
            labels = tuple(map(self._bound.of, gauge.labels, values))
            shown[labels] = gauge.merged(shown[labels], value) if labels in shown else value
        return shown.items()
