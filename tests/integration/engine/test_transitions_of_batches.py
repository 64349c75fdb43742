"""How batches are counted, settled, reopened and cancelled, one statement at a time."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

from outbox import add_to_batch, batch, submit
from outbox.maintenance.batch_folder import NIL, fold_parameters
from outbox.operations import batches as operations
from outbox.store import transitions
from outbox.submission.pending import PENDING
from outbox.submission.submit import PARENT
from tests.protocol.stage import AS_THEY_LIE
from tests.support.engine.batches import CALLBACKS, WORK, Batches, state
from tests.support.engine.by_hand import KIND, WAITING, ByHand
from tests.support.wait import wait_for

SUCCESS, SETTLED, DEATH = (1, "on_success"), (1, "on_settled"), (1, "on_first_death")
CHANGES = "SELECT count(*) FROM duly.batch_changes"


@pytest.fixture
def batches(engine: Engine, by_hand: ByHand) -> Batches:
    """Batches by hand."""
    return Batches(engine, by_hand)


def test_a_batch_settles_once_its_last_member_has_succeeded(batches: Batches) -> None:
    group, jobs = batches.make(3)
    batches.end("succeeded", *jobs[:2])
    batches.fold()
    assert (batches.counts(group), batches.callbacks(group)) == ((3, 2, 0, 0), [])
    batches.end("succeeded", jobs[2])
    (said,) = batches.fold()
    assert (said["id"], said["settles"], said["callbacks"]) == (group, True, 2)
    assert batches.counts(group) == (3, 3, 0, 0)
    assert batches.callbacks(group) == [SETTLED, SUCCESS]
    assert batches.fold() == []


def test_callbacks_are_jobs_about_the_batch_unless_it_says_otherwise(
    batches: Batches, engine: Engine, by_hand: ByHand
) -> None:
    work = CALLBACKS["on_success"]
    with Session(engine) as session, session.begin():
        with batch(session, on_success=work) as first:
            pass
        with batch(session, on_success=work, subject="import:7", by="ann"):
            pass
    batches.fold()
    query = "SELECT * FROM duly.jobs ORDER BY subject"
    found = by_hand.take(query)
    assert [row["subject"] for row in found] == [f"batch:{first.id}", "import:7"]
    assert found[1]["submitted_by"] == "ann"
    assert (found[0]["payload"]["text"], found[0]["queue"]) == ("on_success", "then")
    limits = (found[0]["priority"], found[0]["attempt_limit"], found[0]["attempt_budget"])
    assert limits == (work.kind.priority, 3, 3)
    with Session(engine) as session:
        of_callback = operations.get_of(session, found[0]["id"])
    assert of_callback
    assert of_callback.id == first.id


def test_one_death_is_told_at_once_and_only_once(batches: Batches) -> None:
    group, jobs = batches.make(3)
    batches.end("dead", jobs[0])
    batches.fold()
    assert batches.callbacks(group) == [DEATH]
    batches.end("dead", jobs[1])
    batches.end("succeeded", jobs[2])
    batches.fold()
    assert batches.callbacks(group) == [DEATH, SETTLED]
    assert (state(batches.row(group)), batches.counts(group)) == ((1, "dead"), (3, 1, 2, 0))


def test_a_batch_with_a_cancelled_member_settles_without_success(batches: Batches) -> None:
    group, jobs = batches.make(2)
    batches.end("succeeded", jobs[0])
    batches.end("cancelled", jobs[1])
    batches.fold()
    assert batches.callbacks(group) == [SETTLED]
    assert state(batches.row(group)) == (1, "cancelled")


def test_a_replay_reopens_a_settled_batch_and_success_can_still_come(batches: Batches) -> None:
    group, jobs = batches.make(2)
    batches.end("succeeded", jobs[0])
    batches.end("dead", jobs[1])
    batches.fold()
    batches.close(transitions.REPLAY, jobs[1])
    batches.fold()
    row = batches.row(group)
    assert (state(row), row["settled_at"], row["first_death_at"]) == ((2, None), None, None)
    batches.end("succeeded", jobs[1])
    batches.fold()
    assert state(batches.row(group)) == (2, "succeeded")
    expected = [DEATH, SETTLED, (2, "on_settled"), (2, "on_success")]
    assert batches.callbacks(group) == expected


def test_a_member_that_ended_again_before_the_count_has_reopened_it_too(batches: Batches) -> None:
    group, jobs = batches.make(1)
    batches.end("dead", *jobs)
    batches.fold()
    batches.close(transitions.REPLAY, jobs[0])
    batches.end("dead", *jobs)
    batches.fold()
    assert state(batches.row(group)) == (2, "dead")
    second = [(2, "on_first_death"), (2, "on_settled")]
    assert batches.callbacks(group) == [DEATH, SETTLED, *second]


def test_a_replay_before_the_batch_settles_begins_no_generation(batches: Batches) -> None:
    group, jobs = batches.make(2)
    batches.end("dead", jobs[0])
    batches.fold()
    batches.close(transitions.REPLAY, jobs[0])
    batches.end("succeeded", *jobs)
    batches.fold()
    assert state(batches.row(group)) == (1, "succeeded")
    assert batches.callbacks(group) == [DEATH, SETTLED, SUCCESS]


def test_a_discarded_member_counts_as_cancelled_and_reopens_nothing(batches: Batches) -> None:
    group, jobs = batches.make(1)
    batches.end("dead", *jobs)
    batches.fold()
    settled_at = batches.row(group)["settled_at"]
    batches.close(transitions.DISCARD, jobs[0])
    batches.fold()
    row = batches.row(group)
    assert (state(row), row["settled_at"]) == ((1, "cancelled"), settled_at)
    assert batches.counts(group) == (1, 0, 0, 1)
    assert batches.callbacks(group) == [DEATH, SETTLED]


def test_an_unsealed_batch_waits_and_an_empty_one_settles_when_it_is_sealed(
    batches: Batches,
) -> None:
    group, _ = batches.make(seal=False)
    batches.fold()
    assert batches.callbacks(group) == []
    for _ in range(2):
        batches.seal(group)
        batches.fold()
        assert batches.callbacks(group) == [SETTLED, SUCCESS]


def test_a_batch_that_is_sealed_again_was_sealed_when_it_was(batches: Batches) -> None:
    group, _ = batches.make()
    sealed_at = batches.row(group)["sealed_at"]
    batches.seal(group)
    assert batches.row(group)["sealed_at"] == sealed_at


def test_anybody_adds_to_a_batch_until_it_is_sealed(batches: Batches) -> None:
    group, _ = batches.make(seal=False)
    job = batches.add(group)
    assert batches.hand.job(job)["position"] is None
    batches.seal(group)
    with pytest.raises(IntegrityError, match=f"batch {group} is sealed: only its members add"):
        batches.add(group)
    batches.end("succeeded", job)
    batches.fold()
    assert batches.counts(group) == (1, 1, 0, 0)
    with pytest.raises(IntegrityError, match="is sealed"):
        batches.add(group)


def test_what_is_added_to_or_sealed_must_be_there(batches: Batches, by_hand: ByHand) -> None:
    with pytest.raises(IntegrityError, match="there is no batch"):
        batches.add(uuid4())
    with pytest.raises(IntegrityError, match="there is no batch"):
        batches.seal(uuid4())
    assert by_hand.take(CHANGES) == [{"count": 0}]


class Running:
    """Stands for the running job in an actor's transaction."""

    subject = None

    def __init__(self, id_: UUID) -> None:
        self.id = id_


def test_a_running_member_adds_to_a_sealed_batch_and_it_stays_open(
    batches: Batches, engine: Engine, by_hand: ByHand
) -> None:
    group, (job,) = batches.make(1)
    with (
        Session(engine, info={PARENT: Running(job)}) as session,
        session.begin(),
        add_to_batch(session, group),
    ):
        added = submit(session, WORK).id
        with batch(session) as child:
            submit(session, WORK)
    batches.end("succeeded", job)
    batches.fold()
    assert (batches.counts(group), state(batches.row(group))) == ((3, 1, 0, 0), (1, None))
    assert batches.row(child.id)["parent_id"] == group
    assert by_hand.job(added)["parent_id"] == job


def test_a_job_of_another_batch_does_not_add_to_a_sealed_one(
    batches: Batches, engine: Engine
) -> None:
    group, _ = batches.make(1)
    _, (other,) = batches.make(1)
    with Session(engine, info={PARENT: Running(other)}) as session:
        with add_to_batch(session, group):
            submit(session, WORK)
        with pytest.raises(IntegrityError, match="is sealed"):
            session.commit()


def test_a_member_that_has_ended_adds_nothing_to_a_batch_that_has_settled(
    batches: Batches, engine: Engine
) -> None:
    group, (job,) = batches.make(1)
    batches.end("succeeded", job)
    batches.fold()
    with Session(engine, info={PARENT: Running(job)}) as session:
        with add_to_batch(session, group):
            submit(session, WORK)
        with pytest.raises(IntegrityError, match="is sealed"):
            session.commit()


def test_a_transaction_adds_to_several_batches(batches: Batches, engine: Engine) -> None:
    groups = [batches.make(seal=False)[0] for _ in range(2)]
    with Session(engine) as session, session.begin():
        for group in groups:
            with add_to_batch(session, group):
                submit(session, WORK)
    batches.fold()
    assert [batches.counts(group) for group in groups] == [(1, 0, 0, 0)] * 2


def add(hand: ByHand, *groups: UUID) -> None:
    """One more member for each, in one transaction."""
    job = {"kind": KIND, "queue": "q", "priority": 1, "payload": "{}", "budget": 3}
    jobs = [job | {"id": str(uuid4()), "batch_id": str(group)} for group in groups]
    hand.take(transitions.SUBMIT_MEMBERS, jobs=json.dumps(jobs), batches="[]")


def seal(hand: ByHand, *groups: UUID) -> None:
    """End their growth, in one transaction."""
    batches = [{"id": str(group), "is_new": False, "is_sealed": True} for group in groups]
    hand.take(transitions.SUBMIT_MEMBERS, jobs="[]", batches=json.dumps(batches))


@pytest.mark.parametrize("grow", [add, seal])
def test_only_the_batches_that_grow_are_locked(
    batches: Batches, by_hand: ByHand, other_hand: ByHand, grow: Callable[..., None]
) -> None:
    group, other = (batches.make(seal=False)[0] for _ in range(2))
    other_hand.take("SET lock_timeout = '50ms'")
    with by_hand.connection.transaction():
        by_hand.take("SELECT FROM duly.batches WHERE id = %(id)s FOR UPDATE", id=other)
        grow(other_hand, group)


def test_any_number_may_add_to_a_batch_at_once(
    batches: Batches, by_hand: ByHand, other_hand: ByHand
) -> None:
    group, _ = batches.make(seal=False)
    other_hand.take("SET lock_timeout = '50ms'")
    with by_hand.connection.transaction():
        add(by_hand, group)
        add(other_hand, group)
        inner = {"id": str(uuid4()), "is_new": True, "is_sealed": True, "within": str(group)}
        other_hand.take(transitions.SUBMIT_MEMBERS, jobs="[]", batches=json.dumps([inner]))
    batches.fold()
    assert batches.counts(group) == (3, 1, 0, 0)


@pytest.mark.parametrize("grow", [add, seal])
def test_batches_that_grow_are_locked_in_the_order_of_their_ids(
    batches: Batches,
    by_hand: ByHand,
    other_hand: ByHand,
    engine: Engine,
    grow: Callable[..., None],
) -> None:
    groups = [batches.make(seal=False)[0] for _ in range(8)]
    by_hand.take("UPDATE duly.batches SET subject = 'x' WHERE id = %(id)s", id=groups[0])
    other_hand.take(AS_THEY_LIE)
    lock = "SELECT id FROM duly.batches WHERE id = ANY (%(ids)s) FOR UPDATE SKIP LOCKED"
    with ThreadPoolExecutor(1) as aside:
        with engine.begin() as counting:
            counting.exec_driver_sql(lock, {"ids": groups[:1]})
            growing = aside.submit(grow, other_hand, *reversed(groups))
            wait_for("it waits", lambda: by_hand.take(WAITING))
            assert len(counting.exec_driver_sql(lock, {"ids": groups[1:]}).all()) == 7
        growing.result(60)


def test_a_batch_being_added_to_is_neither_counted_nor_sealed(
    batches: Batches, engine: Engine, by_hand: ByHand
) -> None:
    group, (job,) = batches.make(1, seal=False)
    batches.end("succeeded", job)
    with Session(engine) as session, session.begin():
        with add_to_batch(session, group):
            submit(session, WORK)
        session.info[PENDING].write(session)  # as the commit is about to do
        assert by_hand.take(transitions.LOCK_BATCHES, ids=[group]) == []
        with Session(engine) as other:
            other.connection().exec_driver_sql("SET lock_timeout = '50ms'")
            with pytest.raises(OperationalError, match="lock timeout"):
                operations.seal(other, group, by="ann")
    batches.fold()
    assert batches.counts(group) == (2, 1, 0, 0)


def test_a_batch_in_a_batch_keeps_it_open_and_counts_as_one_member(batches: Batches) -> None:
    parent, (job,) = batches.make(1, seal=False)
    child, (inner,) = batches.make(1, within=parent)
    batches.seal(parent)
    batches.end("succeeded", job)
    batches.fold()
    assert batches.counts(parent) == (2, 1, 0, 0)
    batches.end("dead", inner)
    batches.fold()
    assert (batches.counts(parent), state(batches.row(parent))) == ((2, 1, 1, 0), (1, "dead"))
    assert batches.callbacks(parent) == [DEATH, SETTLED]
    batches.close(transitions.REPLAY, inner)
    batches.fold()
    assert state(batches.row(parent)) == (2, None)
    batches.end("succeeded", inner)
    batches.fold()
    for group in (child, parent):
        assert state(batches.row(group)) == (2, "succeeded")
        assert (2, "on_success") in batches.callbacks(group)


def test_a_bulk_replay_reopens_the_ancestors_once(batches: Batches, by_hand: ByHand) -> None:
    parent, _ = batches.make(seal=False)
    _, jobs = batches.make(3, within=parent)
    batches.seal(parent)
    batches.end("dead", *jobs)
    batches.fold()
    letters = [by_hand.letters(job)[0]["id"] for job in jobs]
    assert len(by_hand.close(transitions.REPLAY, *letters)) == 3
    batches.end("dead", *jobs)
    batches.fold()
    assert state(batches.row(parent)) == (2, "dead")
    assert batches.callbacks(parent).count((2, "on_first_death")) == 1


def test_a_discard_in_a_batch_in_a_batch_corrects_what_is_around_it(batches: Batches) -> None:
    parent, _ = batches.make(seal=False)
    _, jobs = batches.make(1, within=parent)
    batches.seal(parent)
    batches.end("dead", *jobs)
    batches.fold()
    batches.close(transitions.DISCARD, jobs[0])
    batches.fold()
    assert (batches.counts(parent), state(batches.row(parent))) == ((1, 0, 0, 1), (1, "cancelled"))


def test_a_fold_takes_no_change_of_a_batch_that_it_has_not_locked(
    batches: Batches, by_hand: ByHand
) -> None:
    (first, _), (second, _) = batches.make(), batches.make()
    by_hand.take(transitions.FOLD, **fold_parameters([first]))
    assert [batches.row(group)["outcome"] for group in (first, second)] == ["succeeded", None]
    batches.fold()
    assert batches.row(second)["outcome"] == "succeeded"


def test_a_parent_is_told_nothing_where_nothing_changes_for_it(
    batches: Batches, by_hand: ByHand
) -> None:
    parent, _ = batches.make(seal=False)
    child, jobs = batches.make(2, within=parent)
    batches.end("dead", *jobs)
    batches.fold()
    batches.close(transitions.DISCARD, jobs[0])
    by_hand.take(transitions.FOLD, **fold_parameters([child]))
    assert by_hand.take(CHANGES) == [{"count": 0}]


def test_a_cancelled_batch_ends_what_has_not_ended(
    batches: Batches, engine: Engine, by_hand: ByHand
) -> None:
    parent, (ended, queued, running) = batches.make(3, seal=False)
    child, (inner,) = batches.make(1, within=parent, seal=False)
    _, (elsewhere,) = batches.make(1)
    batches.end("dead", ended)
    by_hand.publish(running)
    assert by_hand.claim(running)
    with Session(engine) as session, session.begin():
        assert operations.cancel(session, parent, by="ann")
        assert not operations.cancel(session, parent, by="ann")
    while by_hand.take(transitions.CANCEL_MEMBERS):
        batches.fold()
    assert [by_hand.job(job)["state"] for job in (queued, inner, running, ended, elsewhere)] == [
        *("cancelled", "cancelled", "running", "dead", "queued")
    ]
    assert by_hand.event(queued) is None
    assert by_hand.job(running)["cancel_requested_at"]
    assert state(batches.row(parent)) == (1, None)
    assert state(batches.row(child)) == (1, "cancelled")
    with pytest.raises(IntegrityError, match="is cancelled"):
        batches.add(parent)
    assert by_hand.retry(running)
    batches.fold()
    assert (batches.counts(parent), state(batches.row(parent))) == (
        *((4, 0, 1, 3), (1, "cancelled")),
    )
    assert batches.callbacks(parent) == [SETTLED]


def test_a_cancel_leaves_a_batch_that_has_settled_as_it_is(
    batches: Batches, engine: Engine, by_hand: ByHand
) -> None:
    parent, _ = batches.make(seal=False)
    child, (inner,) = batches.make(1, within=parent)
    batches.end("succeeded", inner)
    batches.fold()
    with Session(engine) as session, session.begin():
        assert not operations.cancel(session, child, by="ann")
        assert operations.cancel(session, parent, by="ann")
    assert by_hand.take(transitions.CANCEL_MEMBERS) == []
    batches.fold()
    assert batches.row(child)["cancelled_at"] is None
    assert state(batches.row(parent)) == (1, "cancelled")
    by_hand.take("UPDATE duly.batches SET cancelled_at = now()")
    by_hand.take("UPDATE duly.jobs SET state = 'queued' WHERE id = %(id)s", id=inner)
    assert by_hand.take(transitions.CANCEL_MEMBERS) == []


def test_what_is_being_cancelled_is_marked_once(
    batches: Batches, engine: Engine, by_hand: ByHand
) -> None:
    parent, _ = batches.make(seal=False)
    child, (running,) = batches.make(1, within=parent)
    by_hand.publish(running)
    assert by_hand.claim(running)
    with Session(engine) as session, session.begin():
        assert operations.cancel(session, parent, by="ann")
    by_hand.take(transitions.CANCEL_MEMBERS)
    assert len(by_hand.take(transitions.CANCEL_MEMBERS)) == 1
    batches.fold()
    marked = [by_hand.job(running)["cancel_requested_at"], batches.row(child)["cancelled_at"]]
    assert by_hand.take(transitions.CANCEL_MEMBERS) == []
    assert by_hand.take(CHANGES) == [{"count": 0}]
    assert marked == [
        *(by_hand.job(running)["cancel_requested_at"], batches.row(child)["cancelled_at"])
    ]


def test_a_dead_member_of_a_cancelled_batch_is_not_replayed(
    batches: Batches, engine: Engine, by_hand: ByHand
) -> None:
    group, (dead, _) = batches.make(2)
    batches.end("dead", dead)
    with Session(engine) as session, session.begin():
        assert operations.cancel(session, group, by="ann")
    letter = by_hand.letters(dead)[0]["id"]
    assert by_hand.close(transitions.REPLAY, letter) == []
    with Session(engine) as session:
        assert operations.is_cancelled(session, dead)
    assert by_hand.close(transitions.DISCARD, letter) == [dead]


def test_members_that_end_in_other_ways_are_counted(batches: Batches, by_hand: ByHand) -> None:
    group, jobs = batches.make(5)
    unclaimed, retried, snoozed, rescued, killer = jobs
    by_hand.bury(unclaimed)
    for job in (retried, snoozed, rescued, killer):
        by_hand.publish(job)
        by_hand.claim(job)
    by_hand.take("UPDATE duly.jobs SET attempt_limit = 1 WHERE id = %(id)s", id=killer)
    for job in (retried, snoozed, rescued):
        by_hand.cancel(job)
    assert by_hand.retry(retried)
    assert by_hand.snooze(snoozed)
    by_hand.rescue()
    batches.fold()
    assert batches.counts(group) == (5, 0, 2, 3)


def test_what_does_not_end_a_member_changes_no_count(batches: Batches, by_hand: ByHand) -> None:
    group, jobs = batches.make(3)
    batches.fold()
    for job in jobs:
        by_hand.publish(job)
        by_hand.claim(job)
    assert by_hand.retry(jobs[0])
    assert by_hand.snooze(jobs[1])
    by_hand.cancel(jobs[2])
    assert by_hand.take(CHANGES) == [{"count": 0}]
    assert batches.counts(group) == (3, 0, 0, 0)


def test_members_and_batch_are_there_together_or_not_at_all(
    engine: Engine, by_hand: ByHand
) -> None:
    with Session(engine) as session:
        with batch(session) as lost:
            submit(session, WORK)
        session.rollback()
        with batch(session) as kept:
            submit(session, WORK)
            with session.begin_nested() as savepoint:
                submit(session, WORK)
                savepoint.rollback()
        session.commit()
    ids = [row["id"] for row in by_hand.take("SELECT id FROM duly.batches")]
    assert (ids, lost.id in ids) == ([kept.id], False)
    members = by_hand.take("SELECT batch_id FROM duly.jobs")
    assert members == [{"batch_id": kept.id}]
    assert by_hand.take("SELECT added FROM duly.batch_changes") == [{"added": 1}]


def test_what_is_submitted_after_the_block_is_no_member(engine: Engine, by_hand: ByHand) -> None:
    with Session(engine) as session, session.begin():
        with batch(session):
            pass
        job = submit(session, WORK)
    assert by_hand.job(job.id)["batch_id"] is None


def test_a_block_that_raises_leaves_the_batch_growing(engine: Engine, by_hand: ByHand) -> None:
    with (
        Session(engine) as session,
        session.begin(),
        pytest.raises(LookupError),
        batch(session) as group,
    ):
        raise LookupError
    assert by_hand.take("SELECT id, sealed_at FROM duly.batches") == [
        {"id": group.id, "sealed_at": None}
    ]


def test_a_batch_is_sealed_in_a_later_transaction_of_its_block(
    engine: Engine, batches: Batches
) -> None:
    with Session(engine) as session:
        with batch(session, **CALLBACKS) as group:
            first = submit(session, WORK)
            session.commit()
            second = submit(session, WORK)
        session.commit()
    batches.end("succeeded", first.id, second.id)
    batches.fold()
    assert state(batches.row(group.id)) == (1, "succeeded")


def test_a_callback_that_cannot_be_stored_is_refused_when_the_batch_is_made(
    engine: Engine,
) -> None:
    bad = WORK.kind(text="a\0b")
    with (
        Session(engine) as session,
        pytest.raises(ValueError, match="NUL"),
        batch(session, on_success=bad),
    ):
        pass


def test_any_number_may_seal_a_batch_at_once(batches: Batches) -> None:
    sealers, rounds = 4, 10
    together = Barrier(sealers)

    def seal(group: UUID) -> None:
        together.wait()
        batches.seal(group)

    groups = [batches.make(seal=False)[0] for _ in range(rounds)]
    with ThreadPoolExecutor(sealers) as threads:
        for group in groups:
            list(threads.map(seal, [group] * sealers))
    batches.fold()
    assert {batches.row(group)["outcome"] for group in groups} == {"succeeded"}


def test_who_cancels_members_waits_for_nobody_who_adds_some(
    batches: Batches, engine: Engine, by_hand: ByHand
) -> None:
    parent, (member,) = batches.make(1, seal=False)
    child, _ = batches.make(1, within=parent, seal=False)
    with Session(engine) as session, session.begin():
        assert operations.cancel(session, parent, by="ann")
    by_hand.take("SET lock_timeout = '50ms'")
    with Session(engine) as session, session.begin():
        with add_to_batch(session, child):
            submit(session, WORK)
        session.info[PENDING].write(session)  # as the commit is about to do
        by_hand.take(transitions.CANCEL_MEMBERS)
        assert batches.row(child)["cancelled_at"] is None
    by_hand.take(transitions.CANCEL_MEMBERS)
    assert batches.row(child)["cancelled_at"]
    assert by_hand.job(member)["state"] == "cancelled"


def test_who_cancels_members_waits_for_nobody_who_has_one(
    batches: Batches, engine: Engine, by_hand: ByHand, other_hand: ByHand
) -> None:
    group, (held, other) = batches.make(2)
    with Session(engine) as session, session.begin():
        assert operations.cancel(session, group, by="ann")
    by_hand.take("SET lock_timeout = '50ms'")
    with other_hand.connection.transaction():
        other_hand.take("SELECT FROM duly.jobs WHERE id = %(id)s FOR UPDATE", id=held)
        assert [row["id"] for row in by_hand.take(transitions.CANCEL_MEMBERS)] == [other]
    assert [row["id"] for row in by_hand.take(transitions.CANCEL_MEMBERS)] == [held]


def test_batches_that_change_are_found_in_the_order_of_their_ids(
    batches: Batches, by_hand: ByHand
) -> None:
    groups = [batches.make()[0] for _ in range(3)]
    by_hand.take("DELETE FROM duly.batch_changes")
    for group in reversed(groups):
        by_hand.take("INSERT INTO duly.batch_changes (batch_id) VALUES (%(id)s)", id=group)
    by_hand.take(AS_THEY_LIE)
    for after, left in ((NIL, groups), (groups[0], groups[1:])):
        found = by_hand.take(transitions.CHANGED_BATCHES, after=after)
        assert [row["batch_id"] for row in found] == left


def test_a_dead_member_of_a_batch_in_a_cancelled_one_is_not_replayed(
    batches: Batches, engine: Engine, by_hand: ByHand
) -> None:
    outer, _ = batches.make(seal=False)
    parent, _ = batches.make(within=outer, seal=False)
    _, (dead,) = batches.make(1, within=parent)
    batches.end("dead", dead)
    batches.fold()
    with Session(engine) as session, session.begin():
        assert operations.cancel(session, outer, by="ann")
    letter = by_hand.letters(dead)[0]["id"]
    assert by_hand.close(transitions.REPLAY, letter) == []
    with Session(engine) as session:
        assert operations.is_cancelled(session, dead)
