"""The duty that deletes closed dead letters."""

from datetime import timedelta

import pytest

from outbox.maintenance.pruning import walks
from outbox.maintenance.pruning.letter_pruner import LetterPruner
from outbox.store import transitions
from tests.integration.engine.test_transitions_of_pruning import count
from tests.support.engine.by_hand import ByHand
from tests.support.engine.line import run_aside
from tests.support.wait import wait_for

NOW = timedelta()


def closed(hand: ByHand) -> int:
    """A discarded letter of a dead job."""
    letter = hand.dead()[1]
    assert hand.close(transitions.DISCARD, letter)
    return letter


def test_closed_letters_go_and_one_whose_job_is_referred_to_keeps_no_other(
    by_hand: ByHand, database_url: str, referred: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walks, "PAUSE_FACTOR", 0)
    letters = [closed(by_hand) for _ in range(3)]
    by_hand.dead()
    by_hand.take(
        f"INSERT INTO {referred} SELECT job_id FROM duly.dead_letters WHERE id = %(id)s",
        id=letters[1],
    )
    stop = run_aside(*(LetterPruner(database_url, NOW).run for _ in range(2)))
    try:
        wait_for("what may go is gone", lambda: count(by_hand, "dead_letters") == 2)
    finally:
        stop()
    assert count(by_hand) == 2
    assert by_hand.take("SELECT id FROM duly.dead_letters WHERE closed_at IS NOT NULL") == [
        {"id": letters[1]}
    ]
