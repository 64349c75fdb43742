"""The duty that deletes finished jobs."""

from datetime import timedelta

import pytest

from outbox import pruner
from outbox.pruner import Pruner
from tests.integration.engine.by_hand import ByHand
from tests.integration.engine.line import run_aside
from tests.integration.engine.test_steps_of_pruning import DAY, count, submitted_long_ago
from tests.wait import wait_for

UNDONE = "UPDATE duly.jobs SET state = 'queued', finished_at = NULL WHERE id < %(before)s"


def test_a_walk_comes_to_its_end_past_all_that_stays(by_hand: ByHand, database_url: str) -> None:
    jobs = submitted_long_ago(by_hand, 2500, ended=2 * DAY)
    by_hand.take(UNDONE, before=jobs[1200])
    stop = run_aside(Pruner(database_url, DAY).run)
    wait_for("all that may go is gone", lambda: count(by_hand) == 1200)
    stop()


def test_what_ends_meanwhile_goes_on_a_later_walk(by_hand: ByHand, database_url: str) -> None:
    job = by_hand.running()
    gone = by_hand.running()
    by_hand.succeed(gone)
    stop = run_aside(Pruner(database_url, timedelta()).run)
    wait_for("what had ended is gone", lambda: count(by_hand) == 1)
    by_hand.succeed(job)
    wait_for("all are gone", lambda: count(by_hand) == 0)
    stop()


def test_any_number_prune_at_once(
    by_hand: ByHand, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruner, "REST", 0)
    submitted_long_ago(by_hand, 20_000, ended=2 * DAY)
    stop = run_aside(*(Pruner(database_url, DAY).run for _ in range(3)))
    wait_for("all are gone", lambda: count(by_hand) == 0)
    stop()
