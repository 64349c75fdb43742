"""Which closed dead letters go, which jobs go with them, and how far a step looks."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine

from outbox.maintenance.pruning.letter_pruner import START, Place
from outbox.store import transitions
from tests.integration.engine.test_transitions_of_pruning import ALL, DAY, NIL, count, prune
from tests.protocol.stage import AS_THEY_LIE
from tests.support.engine.batches import Batches
from tests.support.engine.by_hand import ByHand

CLOSED = """
INSERT INTO duly.dead_letters (queue, reason, closed_at, resolution)
SELECT 'q', 'malformed', date_trunc('hour', now()) - %(ago)s * n, 'discarded'
FROM generate_series(1, %(count)s) AS n
"""
KEY = """
INSERT INTO duly.unique_keys (kind, key, job_id, until) VALUES ('test.note', 'k', %(job)s, 'ended')
"""
TABLES = ("jobs", "dead_letters", "attempts", "refusals")


def prune_letters(hand: ByHand, retention: timedelta = ALL, after: Place = START) -> int | None:
    """How many letters a step deleted; None where there was none to look at."""
    asked = {"retention": retention, "closed_at": after[0], "id": after[1]}
    taken = hand.take(transitions.PRUNE_LETTERS, **asked)
    return taken[0]["pruned"] if taken else None


def close(hand: ByHand, letter: int, how: str = transitions.DISCARD) -> None:
    """Discard or replay it."""
    assert hand.close(how, letter)


def run_again(hand: ByHand, job: UUID) -> None:
    """Claim the replayed job."""
    hand.publish(job, dispatch=2)
    assert hand.claim(job, dispatch=2)


def counts(hand: ByHand) -> list[int]:
    """How many rows there are of each table."""
    return [count(hand, table) for table in TABLES]


def test_a_discarded_letter_goes_with_its_job_and_all_attempts(by_hand: ByHand) -> None:
    by_hand.put_off(by_hand.submit())
    (gone, letter), (other, _) = by_hand.dead(), by_hand.dead()
    by_hand.take("UPDATE duly.refusals SET job_id = %(id)s", id=gone)
    by_hand.put_off(by_hand.submit())
    close(by_hand, letter)
    assert prune_letters(by_hand, DAY) is None
    assert prune_letters(by_hand) == 1
    assert counts(by_hand) == [3, 1, 1, 1]
    assert len(by_hand.attempts(other)) == 1


def test_open_letters_stay_however_old(by_hand: ByHand) -> None:
    by_hand.dead()
    by_hand.keep_foreign(b"x")
    by_hand.take("UPDATE duly.dead_letters SET died_at = '2001-01-01'")
    assert prune_letters(by_hand) is None
    assert counts(by_hand) == [1, 2, 1, 0]


def test_a_letter_without_a_job_goes_alone(by_hand: ByHand) -> None:
    close(by_hand, by_hand.keep_foreign(b"x"))
    (_, letter), _ = by_hand.dead(), by_hand.keep_foreign(b"y")
    close(by_hand, letter)
    by_hand.take("DELETE FROM duly.jobs")
    assert prune_letters(by_hand) == 2
    assert count(by_hand, "dead_letters") == 1


@pytest.mark.parametrize("runs", [False, True])
def test_a_replayed_job_that_has_not_ended_keeps_its_letters(by_hand: ByHand, runs: bool) -> None:
    job, letter = by_hand.dead()
    close(by_hand, letter, transitions.REPLAY)
    if runs:
        run_again(by_hand, job)
    assert prune_letters(by_hand) == 0
    assert counts(by_hand)[:3] == [1, 1, 1]


def test_a_replayed_job_that_succeeded_loses_its_letters_and_is_then_as_any_other(
    by_hand: ByHand,
) -> None:
    job, letter = by_hand.dead()
    close(by_hand, letter, transitions.REPLAY)
    run_again(by_hand, job)
    assert by_hand.succeed(job, dispatch=2, attempt=2)
    assert prune(by_hand) == {"walked_to": job, "pruned": 0}
    assert prune_letters(by_hand) == 1
    assert counts(by_hand)[:3] == [1, 0, 1]
    assert prune(by_hand) == {"walked_to": job, "pruned": 1}
    assert counts(by_hand) == [0, 0, 0, 0]


@pytest.mark.parametrize("last", ["open", "young", "old"])
def test_the_letters_of_a_job_go_together(by_hand: ByHand, last: str) -> None:
    job, first = by_hand.dead()
    close(by_hand, first, transitions.REPLAY)
    run_again(by_hand, job)
    assert by_hand.die(job, dispatch=2, attempt=2)
    if last != "open":
        close(by_hand, by_hand.letters(job)[1]["id"])
    old = "UPDATE duly.dead_letters SET closed_at = now() - interval '2 days' WHERE id = %(id)s"
    for letter in by_hand.letters(job)[: 2 if last == "old" else 1]:
        by_hand.take(f"{old} AND closed_at IS NOT NULL", id=letter["id"])
    by_hand.take("UPDATE duly.jobs SET finished_at = now() - interval '2 days'")
    assert prune_letters(by_hand, DAY) == (2 if last == "old" else 0)
    assert counts(by_hand)[:3] == ([0, 0, 0] if last == "old" else [1, 2, 2])


def test_a_job_that_ended_within_the_retention_stays(by_hand: ByHand) -> None:
    _, letter = by_hand.dead()
    close(by_hand, letter)
    by_hand.take("UPDATE duly.dead_letters SET closed_at = now() - interval '2 days'")
    assert prune_letters(by_hand, DAY) == 0
    assert prune_letters(by_hand, timedelta()) == 1


def test_the_job_stays_that_a_key_names_and_the_key_goes_with_the_closing(by_hand: ByHand) -> None:
    job, letter = by_hand.dead()
    by_hand.take(KEY, job=job)
    assert by_hand.take(transitions.PRUNE_UNIQUE_KEYS, after=NIL)[0]["pruned"] == 0
    close(by_hand, letter)
    assert prune_letters(by_hand) == 0
    assert by_hand.take(transitions.PRUNE_UNIQUE_KEYS, after=NIL)[0]["pruned"] == 1
    assert prune_letters(by_hand) == 1
    assert counts(by_hand)[:3] == [0, 0, 0]


def test_a_member_stays_until_its_batch_has_settled_and_its_callbacks_have_ended(
    by_hand: ByHand, engine: Engine
) -> None:
    batches = Batches(engine, by_hand)
    _, (dead, running) = batches.make(2)
    batches.end("dead", dead)
    close(by_hand, by_hand.letters(dead)[0]["id"])
    assert prune_letters(by_hand) == 0
    batches.end("succeeded", running)
    batches.fold()
    assert prune_letters(by_hand) == 0
    for row in by_hand.take("SELECT job_id FROM duly.batch_callbacks"):
        by_hand.cancel(row["job_id"])
    assert prune_letters(by_hand) == 1
    assert by_hand.take("SELECT FROM duly.jobs WHERE id = %(id)s", id=dead) == []


def test_what_other_jobs_are_needed_for_keeps_no_member(by_hand: ByHand, engine: Engine) -> None:
    batches = Batches(engine, by_hand)
    _, (dead,) = batches.make(1)
    batches.end("dead", dead)
    close(by_hand, by_hand.letters(dead)[0]["id"])
    batches.fold()
    for row in by_hand.take("SELECT job_id FROM duly.batch_callbacks"):
        by_hand.cancel(row["job_id"])
    _, (done,) = batches.make(1)
    batches.end("succeeded", done)
    batches.fold()
    _, (queued,) = batches.make(1)
    by_hand.take(KEY, job=queued)
    assert prune_letters(by_hand) == 1
    assert by_hand.take("SELECT FROM duly.jobs WHERE id = %(id)s", id=dead) == []


def test_a_dead_job_without_a_letter_stays(by_hand: ByHand) -> None:
    job, letter = by_hand.dead()
    by_hand.take("DELETE FROM duly.dead_letters WHERE id = %(id)s", id=letter)
    close(by_hand, by_hand.keep_foreign(b"x"))
    assert prune_letters(by_hand) == 1
    assert by_hand.job(job)["state"] == "dead"


def test_what_stays_is_not_looked_at_again(by_hand: ByHand) -> None:
    job, letter = by_hand.dead()
    by_hand.take(KEY, job=job)
    close(by_hand, letter)
    asked = {"retention": ALL, "closed_at": START[0], "id": START[1]}
    (first,) = by_hand.take(transitions.PRUNE_LETTERS, **asked)
    assert by_hand.take(transitions.PRUNE_LETTERS, **asked | first) == []


def test_a_step_goes_by_the_time_of_closing_and_says_how_far(by_hand: ByHand) -> None:
    by_hand.take(CLOSED, count=1500, ago=DAY)
    by_hand.take(AS_THEY_LIE)
    ids = [row["id"] for row in by_hand.take("SELECT id FROM duly.dead_letters ORDER BY id DESC")]
    asked: dict[str, Any] = {"retention": 10 * DAY, "closed_at": START[0], "id": 0}
    (first,) = by_hand.take(transitions.PRUNE_LETTERS, **asked)
    assert (first["pruned"], first["id"]) == (1000, ids[999])  # the oldest have the highest ids
    (second,) = by_hand.take(transitions.PRUNE_LETTERS, **asked | first)
    assert second["id"] == ids[-10]
    assert second["pruned"] == 491
    assert by_hand.take(transitions.PRUNE_LETTERS, **asked | second) == []
    assert count(by_hand, "dead_letters") == 9


def test_of_letters_closed_at_once_none_is_passed_over(by_hand: ByHand) -> None:
    by_hand.take(CLOSED, count=1500, ago=timedelta())
    asked: dict[str, Any] = {"retention": -DAY, "closed_at": START[0], "id": 0}
    (first,) = by_hand.take(transitions.PRUNE_LETTERS, **asked)
    (second,) = by_hand.take(transitions.PRUNE_LETTERS, **asked | first)
    assert (first["pruned"], second["pruned"]) == (1000, 500)
    assert prune_letters(by_hand, -DAY, (datetime.now(UTC) + DAY, 0)) is None


def test_what_another_relay_is_deleting_is_not_waited_for(
    by_hand: ByHand, other_hand: ByHand
) -> None:
    (_, letter), foreign = by_hand.dead(), by_hand.keep_foreign(b"x")
    close(by_hand, letter)
    close(by_hand, foreign)
    other_hand.take("SET lock_timeout = '2s'")
    with by_hand.connection.transaction():
        assert prune_letters(by_hand) == 2
        assert prune_letters(other_hand) == 0
    assert counts(by_hand)[:3] == [0, 0, 0]
