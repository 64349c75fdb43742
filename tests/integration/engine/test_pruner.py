"""The duty that deletes finished jobs."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest

from outbox.maintenance.pruning import pruner, walks
from outbox.maintenance.pruning.pruner import Pruner
from outbox.postgres.session_settings import connect
from outbox.store import transitions
from tests.integration.engine.test_transitions_of_pruning import DAY, count, submitted_long_ago
from tests.support.engine.by_hand import ByHand
from tests.support.engine.line import run_aside
from tests.support.wait import wait_for

UNDONE = "UPDATE duly.jobs SET state = 'queued', finished_at = NULL WHERE id < %(before)s"
EXPLAIN = "EXPLAIN (ANALYZE, FORMAT JSON) "

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


def test_a_batch_reads_only_the_jobs_it_looks_at_in_a_table_never_analyzed(
    by_hand: ByHand, database_url: str
) -> None:
    asked = {"after": pruner.NIL, "retention": DAY}
    with connect(database_url, pruner.SETTINGS) as database:
        database.execute("ALTER TABLE duly.jobs SET (autovacuum_enabled = off)")
        submitted_long_ago(by_hand, 20_000, ended=2 * DAY)
        plan = database.execute(EXPLAIN + transitions.PRUNE, asked).fetchone()
    assert plan
    assert max(rows_of(plan[0][0]["Plan"])) == 1000


def rows_of(node: dict[str, Any]) -> Iterator[float]:
    """How many rows each node of the plan made."""
    yield node["Actual Rows"] * node["Actual Loops"]
    for each in node.get("Plans", []):
        yield from rows_of(each)


def test_any_number_prune_at_once(
    by_hand: ByHand, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walks, "PAUSE_FACTOR", 0)
    submitted_long_ago(by_hand, 20_000, ended=2 * DAY)
    start(DAY, DAY, DAY)
    wait_for("what may go is gone", lambda: count(by_hand) == 0)
