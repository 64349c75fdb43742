"""The promise meter: it sees each sort of broken job, and none that is only on its way."""

from datetime import timedelta

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session
from structlog.testing import capture_logs

from outbox.maintenance.sampling import walk, workers
from outbox.maintenance.sampling.promises import PromiseMeter
from outbox.maintenance.sampling.walk import DEAD, QUEUED, Walk
from outbox.store import transitions
from tests.support.engine.by_hand import ByHand
from tests.support.monitoring.documented import runbook_query
from tests.support.wait import wait_for

SILENCE = timedelta(seconds=3)
ALERT = "DulyPromiseBroken"
LOSE_EVENT = "DELETE FROM duly.outbox_events WHERE job_id = %(id)s"
LOSE_PUBLICATIONS = "DELETE FROM duly.publications"
LOSE_LETTER = "DELETE FROM duly.dead_letters WHERE job_id = %(id)s"
AT_ONCE = "UPDATE duly.jobs SET run_at = '2030-01-01'"


@pytest.fixture
def meter(monkeypatch: pytest.MonkeyPatch) -> PromiseMeter:
    """A meter that presumes a worker dead after three looks without a new heartbeat."""
    monkeypatch.setattr(workers, "RESCUED_WITHIN", timedelta())
    return PromiseMeter(SILENCE, interval=1)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look takes up two jobs."""
    monkeypatch.setattr(walk, "MOST_LOOKED_AT", 2)


def look(engine: Engine, meter: PromiseMeter) -> dict[str, int]:
    """What is broken now."""
    with Session(engine) as session:
        found = meter.look(session)
    return {promise: count for promise, count in found.items() if count}


def go_on(engine: Engine, walk: Walk) -> int:
    """How many jobs are known to be wrong after the next part."""
    with Session(engine) as session:
        return walk.look(session)


def test_jobs_in_every_state_of_a_line_that_works_break_nothing(
    by_hand: ByHand, engine: Engine, meter: PromiseMeter
) -> None:
    by_hand.beat("w1")
    by_hand.submit()
    by_hand.publish(by_hand.submit())
    by_hand.running()
    by_hand.retry(by_hand.running(), delay=3600)
    by_hand.put_off(by_hand.submit())
    by_hand.reschedule(by_hand.submit(), run_at="2100-01-01")
    by_hand.succeed(by_hand.running())
    by_hand.cancel(by_hand.submit())
    by_hand.dead()
    by_hand.close(transitions.DISCARD, by_hand.dead()[1])
    by_hand.close(transitions.REPLAY, by_hand.dead()[1])
    for _ in range(6):
        by_hand.beat("w1")
        assert look(engine, meter) == {}


def test_a_queued_job_without_event_and_publication_is_broken_until_it_is_published_again(
    by_hand: ByHand, engine: Engine, meter: PromiseMeter
) -> None:
    by_hand.submit()
    waiting, published = by_hand.submit(), by_hand.submit()
    by_hand.publish(published)
    by_hand.take(LOSE_EVENT, id=waiting)
    assert look(engine, meter) == {"queued_without_event": 1}
    by_hand.take(LOSE_PUBLICATIONS)
    assert look(engine, meter) == {"queued_without_event": 2}
    by_hand.reschedule(waiting)
    assert look(engine, meter) == {"queued_without_event": 1}
    assert by_hand.cancel(published)
    assert look(engine, meter) == {}


def test_an_event_or_publication_of_another_dispatch_moves_nothing(
    by_hand: ByHand, engine: Engine, meter: PromiseMeter
) -> None:
    ahead, published = by_hand.submit(), by_hand.submit()
    by_hand.publish(published)
    by_hand.take("UPDATE duly.jobs SET dispatch = 2")
    assert look(engine, meter) == {"queued_without_event": 2}
    by_hand.take("UPDATE duly.outbox_events SET dispatch = 2")
    by_hand.take("UPDATE duly.publications SET dispatches = '{2}'")
    assert look(engine, meter) == {}
    assert by_hand.event(ahead)


def test_a_job_whose_worker_is_gone_is_broken_once_it_should_have_been_rescued(
    by_hand: ByHand, engine: Engine, meter: PromiseMeter
) -> None:
    by_hand.running(worker="gone")
    by_hand.running(worker="silent")
    by_hand.running(worker="alive")
    by_hand.beat("silent")
    seen = []
    for _ in range(5):
        by_hand.beat("alive")
        seen.append(look(engine, meter))
    broken = {"running_without_worker": 2}
    assert seen == [{}, {}, {}, broken, broken]
    by_hand.take("DELETE FROM duly.workers WHERE name = 'silent'")
    by_hand.rescue()
    assert look(engine, meter) == {}


def test_a_dead_job_without_its_letter_is_broken_until_the_letter_is_there(
    by_hand: ByHand, engine: Engine, meter: PromiseMeter
) -> None:
    (job, _), _ = by_hand.dead(), by_hand.dead()
    by_hand.take(LOSE_LETTER, id=job)
    assert look(engine, meter) == {"dead_without_letter": 1}
    by_hand.take(runbook_query(ALERT, "INSERT"))
    assert look(engine, meter) == {}
    assert by_hand.take("SELECT count(*) AS n FROM duly.dead_letters") == [{"n": 2}]


def test_the_runbook_finds_who_holds_the_rows_of_jobs_that_cannot_be_rescued(
    by_hand: ByHand, engine: Engine
) -> None:
    """The rescuer skips locked rows, so it waits for nobody."""
    job = by_hand.running(worker="gone")
    with engine.connect() as holder:
        held = text("SELECT pg_backend_pid() FROM duly.jobs FOR UPDATE")
        holding = holder.execute(held).scalar()
        by_hand.rescue()
        assert by_hand.job(job)["state"] == "running"
        assert holding in [row["pid"] for row in by_hand.take(runbook_query(ALERT, "SELECT"))]
        by_hand.take("SELECT pg_terminate_backend(%(pid)s)", pid=holding)
        holder.invalidate()
    wait_for("a rescue", lambda: by_hand.rescue() or by_hand.job(job)["state"] == "queued")


def test_the_log_names_broken_jobs_whenever_their_number_changes(
    by_hand: ByHand, engine: Engine, meter: PromiseMeter
) -> None:
    jobs = sorted(by_hand.submit() for _ in range(2))
    gone = by_hand.running(worker="gone")
    with capture_logs() as lines:
        for lost in (jobs[0], None, jobs[1], None, None):
            if lost:
                by_hand.take(LOSE_EVENT, id=lost)
            look(engine, meter)
    assert [(line["promise"], line["count"], line["jobs"]) for line in lines] == [
        ("queued_without_event", 1, [str(jobs[0])]),
        ("queued_without_event", 2, [str(job) for job in jobs]),
        ("running_without_worker", 1, [str(gone)]),
    ]
    assert {line["event"] for line in lines} == {"promise broken"}


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("same_time", [False, True])
def test_a_walk_comes_to_each_queued_job_in_turn_and_back_to_those_that_are_broken(
    by_hand: ByHand, engine: Engine, same_time: bool
) -> None:
    jobs = sorted(by_hand.submit() for _ in range(5))
    if same_time:
        by_hand.take(AT_ONCE)
    walk = Walk(QUEUED)
    by_hand.take(LOSE_EVENT, id=jobs[3])
    assert [go_on(engine, walk) for _ in range(5)] == [0, 1, 1, 1, 1]
    by_hand.reschedule(jobs[3], priority=0)
    assert [go_on(engine, walk) for _ in range(3)] == [0, 0, 0]
    by_hand.take(LOSE_EVENT, id=jobs[0])
    assert max(go_on(engine, walk) for _ in range(3)) == 1


@pytest.mark.usefixtures("small")
def test_a_walk_comes_to_each_dead_job_in_turn(by_hand: ByHand, engine: Engine) -> None:
    jobs = sorted(by_hand.dead()[0] for _ in range(4))
    walk = Walk(DEAD)
    by_hand.take(LOSE_LETTER, id=jobs[2])
    assert [go_on(engine, walk) for _ in range(4)] == [0, 1, 1, 1]


def test_no_more_are_remembered_than_a_bound(
    by_hand: ByHand, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walk, "MOST_REMEMBERED", 3)
    for _ in range(5):
        by_hand.submit()
    by_hand.take("DELETE FROM duly.outbox_events")
    assert go_on(engine, Walk(QUEUED)) == 3
