"""Kinds that are unique and have keys: whatever becomes of a job, it waits for its keys again."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from outbox import Key, Kind, Schedule, SubmittedJob, Unique, batch, flush_jobs, submit
from outbox.operations import schedules
from outbox.store import transitions
from tests.support.engine.batches import Batches
from tests.support.engine.by_hand import KIND, ByHand, Row
from tests.support.engine.keyed import Keyed
from tests.support.engine.line import Note, note_kind

DUE = """
WITH job AS (UPDATE duly.jobs SET run_at = now() - interval '1 h' WHERE id = %(id)s RETURNING *)
UPDATE duly.outbox_events SET available_at = run_at FROM job WHERE job_id = job.id
"""
AT_ONCE = timedelta(microseconds=1)
DEBOUNCED = Unique("text", debounce=AT_ONCE, cap=timedelta(hours=1))


def by_secret(note: Note) -> str:
    return note.secret


def ordered(unique: Unique | None = None, name: str = KIND) -> Kind[..., Note]:
    """A kind of which one job of a key follows the other."""
    return note_kind("q", name, key=Key(by_secret, ordered=True), unique=unique)


@pytest.fixture
def keyed(by_hand: ByHand) -> Keyed:
    return Keyed(by_hand)


@pytest.fixture
def submitted(engine: Engine) -> Callable[..., SubmittedJob]:
    """Submits in a transaction of its own."""

    def submitted(kind: Kind[..., Note], **payload: str) -> SubmittedJob:
        with Session(engine) as session, session.begin():
            return submit(session, kind(**payload))

    return submitted


def claim(by_hand: ByHand, job: UUID, dispatch: int) -> Row | None:
    """What a worker does for such a kind."""
    row = {"id": job, "dispatch": dispatch, "kind": KIND}
    return by_hand.take_one(transitions.CLAIM_UNIQUE_LIMITED, **row)


def waits(by_hand: ByHand, job: UUID) -> tuple[int, list[str] | None, int | None]:
    """The event's dispatch, and the keys and position that it waits with: those of its job."""
    now, event = by_hand.job(job), by_hand.event(job)
    assert event
    assert (event["dispatch"], event["position"]) == (now["dispatch"], now["position"])
    return event["dispatch"], event["keys"], event["position"]


def test_a_debounce_that_changes_the_key_moves_the_job_to_the_new_key(
    by_hand: ByHand, keyed: Keyed, submitted: Callable[..., SubmittedJob]
) -> None:
    kind = note_kind("q", key=Key(by_secret, at_most=1), unique=DEBOUNCED)
    job = submitted(kind, text="t", secret="a").id
    assert keyed.admit("a") == [["a"]]
    assert keyed.count("a") == {"a": 1}
    again = submitted(kind, text="t", secret="b")
    assert (again.id, again.is_duplicate) == (job, True)
    assert by_hand.job(job)["keys"] == ["b"]
    assert waits(by_hand, job) == (2, ["b"], None)
    assert keyed.count("a", "b") == {}
    assert keyed.admit("a") == []
    assert claim(by_hand, job, 1) is claim(by_hand, job, 2) is None
    assert keyed.admit("b") == [["b"]]
    claimed = claim(by_hand, job, 2)
    assert claimed
    assert (claimed["keys"], claimed["payload"]["secret"]) == (["b"], "b")


def test_in_the_order_of_its_new_key_it_comes_last_and_in_that_of_its_own_it_keeps_its_place(
    by_hand: ByHand, keyed: Keyed, submitted: Callable[..., SubmittedJob]
) -> None:
    kind = ordered(DEBOUNCED)
    moving, next_of_a, of_b = (
        submitted(kind, text=text, secret=key).id for text, key in ("1a", "2a", "3b")
    )
    submitted(kind, text="1", secret="a")
    assert not keyed.admit_first(next_of_a, "a")
    submitted(kind, text="1", secret="b")
    assert not keyed.admit_first(moving, "b")
    assert keyed.admit_first(next_of_a, "a")
    assert keyed.admit_first(of_b, "b")
    assert keyed.admit_first(moving, "b")
    assert by_hand.job(moving)["position"] > by_hand.job(of_b)["position"]


def test_a_job_that_is_put_back_because_somebody_becomes_it_is_admitted_again(
    by_hand: ByHand, keyed: Keyed, submitted: Callable[..., SubmittedJob], engine: Engine
) -> None:
    kind = ordered(Unique("text"))
    job = submitted(kind, text="t", secret="a").id
    position = by_hand.job(job)["position"]
    assert keyed.admit_first(job, "a")
    with Session(engine) as session, session.begin():
        again = submit(session, kind(text="t", secret="other"))
        flush_jobs(session)
        assert claim(by_hand, job, 1) is None
    assert again.id == job
    assert waits(by_hand, job) == (2, ["a"], position)
    assert keyed.count("a") == {}
    by_hand.take(DUE, id=job)
    assert claim(by_hand, job, 2) is None
    assert keyed.admit_first(job, "a")
    claimed = claim(by_hand, job, 2)
    assert claimed
    assert claimed["keys"] == ["a"]
    assert by_hand.take("SELECT FROM duly.unique_keys") == []


AGAIN: dict[str, Callable[[ByHand, UUID], object]] = {
    "retry": lambda hand, job: hand.retry(job),
    "snooze": lambda hand, job: hand.snooze(job),
    "rescue": lambda hand, _: hand.rescue(),
    "put off": lambda hand, job: hand.put_off(job, attempt=1),
    "replay": lambda hand, job: (
        hand.die(job),
        hand.close(transitions.REPLAY, hand.letters(job)[0]["id"]),
    ),
}


def test_a_job_that_is_queued_again_keeps_its_keys_and_its_place(
    by_hand: ByHand, keyed: Keyed, submitted: Callable[..., SubmittedJob]
) -> None:
    for how, step in AGAIN.items():
        first, second = (
            submitted(ordered(Unique("text")), text=f"{how} {n}", secret=how).id for n in (1, 2)
        )
        position = by_hand.job(first)["position"]
        assert keyed.admit_first(first, how)
        by_hand.publish(first)
        assert claim(by_hand, first, 1), how
        step(by_hand, first)
        assert waits(by_hand, first) == (2, [how], position)
        by_hand.take(DUE, id=first)
        assert not keyed.admit_first(second, how)
        assert keyed.admit_first(first, how)
        assert claim(by_hand, first, 2), how
        assert by_hand.reschedule(second, priority=0)
        assert waits(by_hand, second)[1] == [how]


def test_ticks_callbacks_and_members_wait_for_their_keys_and_take_no_other(
    by_hand: ByHand, engine: Engine
) -> None:
    kind, member = ordered(Unique("text"), "test.unique"), ordered()
    schedule = Schedule("nightly", "0 2 * * *", kind(text="t", secret="tick"))
    with Session(engine) as session, session.begin():
        with batch(session, on_success=kind(text="t", secret="then")):
            for _ in range(2):
                submit(session, member(secret="member"))
        schedules.create(session, schedule, by="ann")
        schedules.run(session, "nightly", by="ann")
    members = by_hand.take("SELECT id FROM duly.jobs WHERE batch_id IS NOT NULL ORDER BY position")
    batches, keyed = Batches(engine, by_hand), Keyed(by_hand)
    first, second = (row["id"] for row in members)
    assert not keyed.admit_first(second, "member")
    assert keyed.admit_first(first, "member")
    batches.end("succeeded", first)
    assert keyed.admit_first(second, "member")
    batches.end("succeeded", second)
    batches.fold()
    made = by_hand.take("SELECT id, keys FROM duly.jobs WHERE kind = %(kind)s", kind=kind.name)
    assert sorted(job["keys"] for job in made) == [["then"], ["tick"]]
    for job in made:
        _, keys, position = waits(by_hand, job["id"])
        assert (keys, position is None) == (job["keys"], False)
    assert by_hand.take("SELECT FROM duly.unique_keys") == []
