"""The metrics of one process, in a registry of its own."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import Metric as Shown

from outbox import events
from outbox.events import Event
from outbox.kinds import Kind
from outbox.listeners import measures
from outbox.metrics.labels import LabelBound
from outbox.release import release

M = TypeVar("M", bound=MetricWrapperBase)
T = TypeVar("T")
NOTHING: Mapping[str, Sequence[str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Description:
    """What docs/metrics.md says of a metric."""

    name: str
    sort: str
    labels: tuple[str, ...]


class Metric(Generic[M]):
    """A counter, gauge or histogram, with a series for each combination of its labels' values."""

    def __init__(
        self,
        metric: M,
        labels: Sequence[str],
        bound: LabelBound,
        known: Mapping[str, Sequence[str]] = NOTHING,
    ) -> None:
        self._metric = metric
        self._labels = labels
        self._known = known
        self._bound = bound
        self._series: dict[tuple[str, ...], M] = {}

    def of(self, *values: str) -> M:
        """The series of these values, in the order of the labels; some may be OTHER.

        A series that is known is found without a lock: each attempt of a job asks several times.
        """
        return self._series.get(values) or self._find(values)

    def show(self, **values: Iterable[str]) -> None:
        """Show a series for each combination of these values and those that are known."""
        there_are = values | dict(self._known)
        for combination in product(*(there_are.get(label, ()) for label in self._labels)):
            self.of(*combination)

    def _find(self, values: tuple[str, ...]) -> M:
        if not self._labels:
            return self._metric
        shown = tuple(map(self._bound.of, self._labels, values))
        series = self._metric.labels(*shown)
        if shown == values:  # others are not remembered: there may be any number
            self._series[values] = series
        return series


class Metrics:
    """All metrics of a process. Each is made once, under a name that no other has.

    They begin at zero with the process, and end with it.
    """

    def __init__(self) -> None:
        self.registry = _Registry()
        self.bound = LabelBound()
        self.descriptions: list[Description] = []
        self._counters: list[Metric[Counter]] = []
        self._subscriptions: list[Callable[[], None]] = []
        ProcessCollector(registry=self.registry)
        build = self.gauge("duly_build_info", "The version of Duly, as a label.", "version")
        build.of(release()).set(1)

    def counter(
        self, name: str, about: str, *labels: str, **known: Sequence[str]
    ) -> Metric[Counter]:
        """A new counter, whose name ends with `_total`.

        `known` are the values of those labels that have few.
        """
        made = Counter(name, about, labels, registry=self.registry)
        counter = self._made(made, name, labels, known)
        self._counters.append(counter)
        return counter

    def begin_at_zero(self, kinds: Iterable[Kind[..., Any]]) -> None:
        """Show each counter for these kinds and their queues.

        Prometheus sees no increase in a series that begins at 1.
        """
        names = {kind.name: kind.queue for kind in kinds}
        for counter in self._counters:
            counter.show(kind=names, queue=dict.fromkeys(names.values()))

    def gauge(self, name: str, about: str, *labels: str) -> Metric[Gauge]:
        """A new gauge."""
        return self._made(Gauge(name, about, labels, registry=self.registry), name, labels)

    def histogram(
        self, name: str, about: str, *labels: str, buckets: Sequence[float]
    ) -> Metric[Histogram]:
        """A new histogram. `buckets` are the upper bounds, without infinity."""
        made = Histogram(name, about, labels, registry=self.registry, buckets=buckets)
        return self._made(made, name, labels)

    def on(self, told: type[T], count: Callable[[T], object]) -> None:
        """Have `count` called with each event or measure of this type, until closed."""
        subscribe: Any = events.on if issubclass(told, Event) else measures.on
        self._subscriptions.append(subscribe(told, count))

    def close(self) -> None:
        """Count no more."""
        for end in self._subscriptions:
            end()

    def describe(self, name: str, sort: str, *labels: str) -> None:
        """Note a metric that a collector of its own adds to the registry."""
        self.descriptions.append(Description(name, sort, labels))

    def _made(
        self,
        metric: M,
        name: str,
        labels: Sequence[str],
        known: Mapping[str, Sequence[str]] = NOTHING,
    ) -> Metric[M]:
        self.describe(name, type(metric).__name__.lower(), *labels)
        return Metric(metric, labels, self.bound, known)


class _Registry(CollectorRegistry):
    """Leaves out `_created`, a second series for each: when a process began is a metric already."""

    def collect(self) -> Iterator[Shown]:
        for metric in super().collect():
            metric.samples = [each for each in metric.samples if not _is_created(each.name)]
            yield metric


def _is_created(sample: str) -> bool:
    return sample.endswith("_created")
