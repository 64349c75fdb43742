"""The duty that deletes finished jobs."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta

import pytest

from outbox.maintenance import pruner
from outbox.maintenance.pruner import Pruner
from tests.integration.engine.test_transitions_of_pruning import DAY, count, submitted_long_ago
from tests.support.engine.by_hand import ByHand
from tests.support.engine.line import run_aside
from tests.support.wait import wait_for

UNDONE = "UPDATE duly.jobs SET state = 'queued', finished_at = NULL WHERE id < %(before)s"

Start = Callable[..., object]


@pytest.fixture
def start(database_url: str) -> Iterator[Start]:
    """Starts a pruner for each retention, until the test ends."""
    with ExitStack() as exits:
        yield lambda *retentions: exits.callback(
            run_aside(*(Pruner(database_url, retention).run for retention in retentions))
        )


def test_a_walk_comes_to_its_end_past_all_that_stays(by_hand: ByHand, start: Start) -> None:
    jobs = submitted_long_ago(by_hand, 2500, ended=2 * DAY)
    by_hand.take(UNDONE, before=jobs[1200])
    start(DAY)
    wait_for("what may go is gone", lambda: count(by_hand) == 1200)


def test_what_ends_meanwhile_goes_on_a_later_walk(by_hand: ByHand, start: Start) -> None:
    job = by_hand.running()
    gone = by_hand.running()
    by_hand.succeed(gone)
    start(timedelta())
    wait_for("what may go is gone", lambda: count(by_hand) == 1)
    by_hand.succeed(job)
    wait_for("what may go is gone", lambda: count(by_hand) == 0)


def test_any_number_prune_at_once(
    by_hand: ByHand, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruner, "PAUSE_FACTOR", 0)
    submitted_long_ago(by_hand, 20_000, ended=2 * DAY)
    start(DAY, DAY, DAY)
    wait_for("what may go is gone", lambda: count(by_hand) == 0)
