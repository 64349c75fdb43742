"""What relays lock, delete, defer, bury and publish again."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest

from outbox.relay.scan_cursor import FROM_THE_START
from outbox.store import transitions
from tests.support.engine.by_hand import KIND, ByHand, wanted

LATER = "UPDATE duly.outbox_events SET available_at = now() + interval '1 s' WHERE job_id = %(id)s"
LONG_AGO = "UPDATE duly.publications SET published_at = now() - interval '1 min'"
MANY = """
INSERT INTO duly.outbox_events (job_id, dispatch, kind, queue, priority, available_at)
SELECT gen_random_uuid(), 1, 'test.note', 'q', n %% 3, now() + %(shift)s * interval '1 s'
FROM generate_series(1, %(count)s) AS n
"""


LETTER = """
INSERT INTO duly.dead_letters (job_id, dispatch, kind, queue, reason)
SELECT id, dispatch, kind, queue, 'unknown_kind' FROM duly.jobs WHERE id = %(job)s RETURNING id
"""


def locked(hand: ByHand, **capacity: int) -> list[UUID]:
    """The jobs whose events a relay locks, in its order."""
    return [UUID(row["job_id"]) for row in hand.take(transitions.LOCK_EVENTS, **wanted(**capacity))]


def publish_again(hand: ByHand, depth: int, patience: float = 30) -> list[UUID]:
    """The jobs whose messages are found lost, where the broker's queue holds `depth`."""
    asked: dict[str, Sequence[Any]] = {"queues": ["q"], "depths": [depth]}
    found = hand.take(transitions.REDISPATCH_LOST, **asked, patience_seconds=patience)
    return [row["job_id"] for row in found]


def test_events_come_by_priority_and_then_by_age(by_hand: ByHand) -> None:
    low, normal, high = (by_hand.submit(priority=priority) for priority in (2, 1, 0))
    younger_normal, younger_high = (by_hand.submit(priority=priority) for priority in (1, 0))
    assert locked(by_hand, q=10) == [high, younger_high, normal, younger_normal, low]


def test_each_queue_gives_what_it_has_room_for(by_hand: ByHand) -> None:
    ours = [by_hand.submit("q", priority=n % 3) for n in range(6)]
    for _ in range(3):
        by_hand.submit("full")
    other = by_hand.submit("other")
    taken = locked(by_hand, q=3, full=0, other=5)
    assert set(taken) == {ours[0], ours[3], ours[1], other}


def test_an_event_of_later_is_left(by_hand: ByHand) -> None:
    later, now = by_hand.submit(priority=0), by_hand.submit()
    by_hand.take(LATER, id=later)
    assert locked(by_hand, q=10) == [now]


def test_two_relays_lock_different_events(by_hand: ByHand, other_hand: ByHand) -> None:
    jobs = [by_hand.submit() for _ in range(6)]
    with by_hand.connection.transaction():
        first = locked(by_hand, q=4)
        second = locked(other_hand, q=4)
    assert first == jobs[:4]
    assert second == jobs[4:]


def test_each_level_goes_on_where_it_has_come_to(by_hand: ByHand) -> None:
    jobs = [by_hand.submit(priority=priority) for priority in (0, 1, 2) for _ in range(2)]
    reached = {job: by_hand.event(job)["available_at"] for job in jobs}  # type: ignore[index]
    levels = [str(reached[jobs[1]]), str(reached[jobs[3]]), *[FROM_THE_START] * 4]
    events = by_hand.take(transitions.LOCK_EVENTS, **wanted(q=10) | {"reached": levels})
    assert [UUID(event["job_id"]) for event in events] == [jobs[1], *jobs[3:]]


def test_events_of_later_are_never_walked(by_hand: ByHand) -> None:
    by_hand.take(MANY, count=20_000, shift=3600)
    by_hand.take(MANY, count=100, shift=-60)
    by_hand.take("ANALYZE duly.outbox_events")
    explain = "EXPLAIN (ANALYZE, BUFFERS off, TIMING off) " + transitions.LOCK_EVENTS
    plan = "\n".join(row["QUERY PLAN"] for row in by_hand.take(explain, **wanted(q=1000)))
    assert "Index Scan using outbox_events_to_publish" in plan
    assert "Rows Removed" not in plan
    assert "Sort" not in plan
    assert len(locked(by_hand, q=1000)) == 100


def test_queues_with_events_or_messages_or_workers_are_found(by_hand: ByHand) -> None:
    for queue in ("b", "a", "b", "c", "a"):
        by_hand.submit(queue)
    by_hand.publish(by_hand.submit("published"))
    by_hand.take(
        transitions.RECORD_HEARTBEAT,
        name="w1",
        queues='["served", "a"]',
        threads=1,
        tasks=1,
        code=None,
    )
    found = [row["queue"] for row in by_hand.take(transitions.QUEUES_IN_USE)]
    assert sorted(found) == ["a", "b", "c", "published", "served"]


def test_only_the_confirmed_dispatch_is_deleted(by_hand: ByHand) -> None:
    job = by_hand.submit()
    by_hand.publish(job, dispatch=2)
    assert by_hand.event(job) is not None
    by_hand.publish(job, dispatch=1)
    assert by_hand.event(job) is None


def test_a_refused_event_backs_off_twice_as_long_each_time(by_hand: ByHand) -> None:
    job = by_hand.submit()
    waits = []
    for failures in range(1, 12):
        (row,) = by_hand.take(transitions.DEFER_EVENTS, job_id=[job], dispatch=[1])
        assert row["failures"] == failures
        left = "SELECT available_at - now() AS wait FROM duly.outbox_events"
        waits.append(round(by_hand.take(left)[0]["wait"].total_seconds()))
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


def test_an_event_may_be_refused_ever_so_often(by_hand: ByHand) -> None:
    """As one that cannot be buried, since its job has moved on."""
    job = by_hand.submit()
    by_hand.take("UPDATE duly.outbox_events SET failures = 32767")
    assert by_hand.take(transitions.DEFER_EVENTS, job_id=[job], dispatch=[1])


def test_a_buried_job_is_dead_without_an_attempt(by_hand: ByHand) -> None:
    job = by_hand.submit()
    assert by_hand.bury(job)
    (letter,) = by_hand.letters(job)
    assert by_hand.job(job)["state"] == "dead"
    assert (by_hand.event(job), by_hand.attempts(job)) == (None, [])
    assert (letter["reason"], letter["error_message"]) == ("unknown_kind", "no worker does it")
    assert by_hand.close(transitions.REPLAY, letter["id"]) == [job]


@pytest.mark.parametrize("dispatch", [1, 2])
def test_only_a_queued_job_is_buried_and_only_by_its_dispatch(
    by_hand: ByHand, dispatch: int
) -> None:
    job = by_hand.submit() if dispatch == 2 else by_hand.running()
    before = by_hand.everything()
    assert by_hand.bury(job, dispatch) is None
    assert by_hand.everything() == before


def turned_away(hand: ByHand, job: UUID, **changes: Any) -> bool:
    """The collector finds a message of the job; whether the job is to be published again."""
    row = {"job_id": job, "dispatch": 1, "kind": KIND, "queue": "q", "delay_seconds": 0}
    return bool(hand.take(transitions.REDISPATCH, **(row | changes)))


def test_a_message_turned_away_is_published_again_while_its_job_waits(by_hand: ByHand) -> None:
    job = by_hand.submit()
    by_hand.publish(job)
    assert not turned_away(by_hand, job, dispatch=2)
    assert turned_away(by_hand, job)
    assert locked(by_hand, q=10) == [job]
    by_hand.claim(job)
    by_hand.publish(job)
    assert not turned_away(by_hand, job)


@pytest.mark.parametrize("forged", [{"kind": "another"}, {"queue": "another"}])
def test_a_message_that_is_wrong_about_its_job_has_nothing_published(
    by_hand: ByHand, forged: dict[str, str]
) -> None:
    job = by_hand.submit()
    by_hand.publish(job)
    assert not turned_away(by_hand, job, **forged)


def test_a_message_turned_away_may_be_published_later(by_hand: ByHand) -> None:
    job = by_hand.submit()
    by_hand.publish(job)
    assert turned_away(by_hand, job, delay_seconds=5)
    assert locked(by_hand, q=10) == []


def test_what_an_empty_queue_lost_is_published_again(by_hand: ByHand) -> None:
    claimed, lost = by_hand.submit(), by_hand.submit()
    by_hand.take(transitions.DELETE_EVENTS, job_id=[claimed, lost], dispatch=[1, 1])
    by_hand.claim(claimed)
    assert publish_again(by_hand, depth=0) == []
    by_hand.take(LONG_AGO)
    assert publish_again(by_hand, depth=0) == [lost]
    event = by_hand.event(lost)
    assert event is not None
    assert event["dispatch"] == 1
    assert publish_again(by_hand, depth=0) == []


def test_what_may_still_wait_in_its_queue_is_not_published_again(by_hand: ByHand) -> None:
    job = by_hand.submit()
    by_hand.publish(job)
    by_hand.take(LONG_AGO)
    assert publish_again(by_hand, depth=1) == []
    assert publish_again(by_hand, depth=0) == [job]


def test_what_was_overtaken_is_published_again_though_the_queue_is_full(by_hand: ByHand) -> None:
    lost = by_hand.submit()
    by_hand.publish(lost)
    by_hand.take(LONG_AGO)
    later = by_hand.submit()
    by_hand.publish(later)
    assert publish_again(by_hand, depth=5) == []
    by_hand.claim(later)
    assert publish_again(by_hand, depth=5) == [lost]


def test_publications_are_forgotten_once_all_their_jobs_were_claimed(by_hand: ByHand) -> None:
    job = by_hand.submit()
    by_hand.publish(job)
    by_hand.claim(job)
    by_hand.take(LONG_AGO)
    assert publish_again(by_hand, depth=5) == []
    assert by_hand.take("SELECT 1 FROM duly.publications") == []


def test_replayed_jobs_wait_at_a_level_of_their_own(by_hand: ByHand) -> None:
    jobs = [_replayed(by_hand) for _ in range(3)]
    fresh = [by_hand.submit() for _ in range(3)]
    assert [_level(by_hand, job) for job in jobs + fresh] == [4, 4, 4, 1, 1, 1]

    asked = wanted(q=4) | {"replays": [0, 1, 0]}
    events = [UUID(event["job_id"]) for event in by_hand.take(transitions.LOCK_EVENTS, **asked)]
    assert events == [jobs[0], *fresh]


def test_a_replayed_job_stays_at_its_level_until_it_ends(by_hand: ByHand) -> None:
    job = _replayed(by_hand)
    dispatch = by_hand.job(job)["dispatch"]
    by_hand.publish(job, dispatch=dispatch)
    attempt = by_hand.claim(job, dispatch=dispatch)["attempt"]  # type: ignore[index]

    by_hand.snooze(job, dispatch=dispatch, attempt=attempt)
    assert _level(by_hand, job) == 4
    by_hand.publish(job, dispatch=dispatch + 1)
    by_hand.claim(job, dispatch=dispatch + 1)
    by_hand.retry(job, dispatch=dispatch + 1, attempt=attempt)
    assert _level(by_hand, job) == 4
    by_hand.publish(job, dispatch=dispatch + 2)
    by_hand.put_off(job, dispatch=dispatch + 2)
    assert _level(by_hand, job) == 4
    by_hand.publish(job, dispatch=dispatch + 3)
    by_hand.take("UPDATE duly.jobs SET run_at = now() WHERE id = %(id)s RETURNING 1", id=job)
    by_hand.claim(job, dispatch=dispatch + 3, worker="gone")
    by_hand.rescue()
    assert _level(by_hand, job) == 4


def _replayed(by_hand: ByHand) -> UUID:
    job, letter = by_hand.dead()
    by_hand.close(transitions.REPLAY, letter)
    return job


def _level(by_hand: ByHand, job: UUID) -> int:
    event = by_hand.event(job)
    assert event is not None
    level: int = event["priority"]
    return level


def test_a_job_that_was_dead_without_a_run_is_a_replayed_one_too(by_hand: ByHand) -> None:
    job = by_hand.submit()
    by_hand.take("UPDATE duly.jobs SET state = 'dead' WHERE id = %(id)s RETURNING 1", id=job)
    letter = by_hand.take(LETTER, job=job)[0]["id"]
    by_hand.close(transitions.REPLAY, letter)
    dispatch = by_hand.job(job)["dispatch"]
    by_hand.publish(job, dispatch=dispatch)
    by_hand.put_off(job, dispatch=dispatch)
    assert _level(by_hand, job) == 4
