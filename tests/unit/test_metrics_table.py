"""docs/metrics.md lists the metrics that each process serves, and no others."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from outbox.metrics.processes import PROCESSES
from outbox.metrics.registry import Description, Metrics
from outbox.metrics.server import MetricsServer

PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
ROW = re.compile(r"^\| `(\w+)` \| (\w+) \|(.*?)\| (.*?) \| \S.* \|$", re.MULTILINE)
TYPE = re.compile(r"^# TYPE (\w+) (\w+)$", re.MULTILINE)


def documented(process: str) -> set[Description]:
    return {
        Description(name, sort, tuple(re.findall(r"`(\w+)`", labels)))
        for name, sort, labels, processes in ROW.findall(PAGE)
        if process in processes.split(", ")
    }


def scrape(metrics: Metrics) -> str:
    server = MetricsServer(metrics, "127.0.0.1", 0)
    try:
        with urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=10) as answer:
            return str(answer.read().decode())
    finally:
        server.close()


@pytest.fixture(params=PROCESSES)
def process(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def metrics(process: str) -> Iterator[Metrics]:
    metrics = PROCESSES[process]()
    yield metrics
    metrics.close()


def test_the_page_lists_what_a_process_serves(process: str, metrics: Metrics) -> None:
    assert set(metrics.descriptions) == documented(process)
    served = dict(TYPE.findall(scrape(metrics)))
    own = {name: sort for name, sort in served.items() if not name.startswith("process_")}
    assert own == {each.name: each.sort for each in documented(process)}


def test_a_name_is_listed_once() -> None:
    names = [name for name, *_ in ROW.findall(PAGE)]
    assert sorted(names) == sorted(set(names))


def test_a_name_says_what_is_counted_and_in_which_unit() -> None:
    for name, sort, *_ in ROW.findall(PAGE):
        assert name.startswith("duly_")
        assert name.endswith("_total") == (sort == "counter"), name
        assert not re.search(r"_(ms|millis|minutes|hours|kb|count)\b", name)
