"""Scrapes a process's metrics, as Prometheus does."""

from urllib.error import URLError
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

from dev.ports import free_port
from tests.support.wait import wait_for

Series = tuple[str, frozenset[tuple[str, str]]]


class Scraped:
    """The metrics port of a process; `options` are what starts the process with it."""

    def __init__(self) -> None:
        self.port = free_port()
        self.options = ("--metrics-port", str(self.port))

    def value(self, name: str, **labels: str) -> float:
        """The series' value now; 0 where there is no such series."""
        return self._scrape().get((name, frozenset(labels.items())), 0.0)

    def wait_for(self, expected: float, name: str, **labels: str) -> None:
        """Wait until the series has the value: an event is told just after its commit."""

        def there() -> bool:
            try:
                return self.value(name, **labels) == expected
            except URLError:  # the process has not started yet
                return False

        wait_for(f"{name} {labels} is {expected}", there)

    def _scrape(self) -> dict[Series, float]:
        with urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
