"""How numbers of jobs are rounded, and shown to people."""

import pytest

from bench.autoscaler import JOBS_PER_WORKER, wanted
from outbox.cli.terminal.numbers import numbers
from outbox.operations.backlog.queue_status import ByPriority, QueueStatus
from outbox.operations.backlog.sample import rounded


@pytest.mark.parametrize(
    ("number", "shown"), [(1_034_217.4, 1_000_000), (5_260, 5_300), (99_600, 100_000), (0, 0)]
)
def test_an_estimate_has_two_digits(number: float, shown: int) -> None:
    assert rounded(number) == shown


def test_people_see_which_numbers_are_estimates() -> None:
    queue = QueueStatus("email", due=ByPriority(high=3, normal=1_000_000))
    queue.estimate("due", 1)
    shown = numbers(queue)
    assert {name: shown[name] for name in ("high", "normal", "due", "queued", "dead")} == {
        "high": "3",
        "normal": "~1,000,000",
        "due": "~1,000,003",
        "queued": "~1,000,003",
        "dead": "0",
    }
    assert queue.record()["normal"] == 1_000_000


@pytest.mark.parametrize(("work", "workers"), [(0, 1), (1, 1), (200, 1), (201, 2), (10**6, 4)])
def test_the_benchmarks_autoscaler_asks_for_workers_by_work(work: int, workers: int) -> None:
    assert JOBS_PER_WORKER == 200
    assert wanted(work, most=4) == workers
