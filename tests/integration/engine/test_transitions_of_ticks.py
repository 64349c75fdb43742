"""Each tick of a schedule makes exactly one job, or is listed with why it made none."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import Engine

from outbox import Actor, Missed, Overlap
from outbox.events import TickMade, TickSkipped, on
from outbox.maintenance.scheduler import Scheduler
from outbox.store import transitions
from tests.protocol.stage import AS_THEY_LIE
from tests.support.engine.by_hand import WAITING, ByHand
from tests.support.engine.line import Line, do_nothing, note_kind, run_aside
from tests.support.engine.schedules import HOUR, NAME, Timetable
from tests.support.wait import wait_for

NOTE = note_kind("q")
ALL: dict[str, Any] = {
    "missed": Missed.RUN_ALL,
    "overlap": Overlap.ALLOW,
    "catch_up": 200 * HOUR,
}
"""Of a schedule that makes the job of every tick, whatever its time."""
COPY = """
INSERT INTO duly.schedules SELECT (jsonb_populate_record(old, %(other)s::text::jsonb)).*
FROM duly.schedules AS old WHERE name = %(name)s
"""
MADE = """
INSERT INTO duly.ticks (schedule, due_at, outcome) VALUES (%(name)s, now(), 'made')
"""


@pytest.fixture
def timetable(engine: Engine, sql_now: psycopg.Connection, database_url: str) -> Timetable:
    """A schedule to be created."""
    return Timetable(engine, sql_now, database_url)


def test_a_tick_makes_a_job_that_runs(
    line: Line, timetable: Timetable, database_url: str, queue: str
) -> None:
    kind = note_kind(queue)
    line.start_worker(Actor(kind, do_nothing))
    timetable.create(kind(text="tick"), "* * * * * *")
    line.start_relay(queue)
    stop = run_aside(Scheduler(database_url, [], lambda: None).run)
    try:
        tick = wait_for("a tick", lambda: next(iter(timetable.ticks()), None))
    finally:
        stop()
    assert tick.job_id
    job = line.wait_for(tick.job_id, "succeeded")
    by = f"schedule:{NAME}"
    assert (job.kind, job.subject, job.submitted_by) == (kind.name, by, by)
    assert job.payload["text"] == "tick"


def test_any_number_of_relays_make_one_job_for_each_tick(timetable: Timetable) -> None:
    timetable.create(NOTE(), **ALL)
    first = timetable.go_back(24)
    timetable.poll(relays=4)
    assert [tick.due_at for tick in timetable.ticks()] == [first + n * HOUR for n in range(24)]
    assert set(timetable.outcomes()) == {"made"}
    assert timetable.jobs() == 24
    timetable.poll(relays=4)
    assert timetable.jobs() == 24


def test_a_tick_is_made_once_also_if_it_is_due_again(timetable: Timetable, by_hand: ByHand) -> None:
    """As after an edit while Postgres's clock is behind."""
    timetable.create(NOTE(), **ALL)
    timetable.go_back(3)
    timetable.poll()
    timetable.go_back(3)
    timetable.poll()
    assert timetable.outcomes() == ["made"] * 3
    assert timetable.jobs() == 3
    left = "SELECT count(*) AS n FROM duly.schedules WHERE next_due_at <= now()"
    assert by_hand.take(left)[0]["n"] == 0


def tick(by_hand: ByHand, **other: Any) -> list[dict[str, Any]]:
    """Take TICK for the schedule as it is, but for what is given."""
    read = "SELECT name, version, next_due_at AS due_at FROM duly.schedules WHERE name = %(name)s"
    (row,) = by_hand.take(read, name=NAME)
    later = {"next_due_at": row["due_at"] + HOUR, "job_id": uuid4(), "held_back_seconds": 0}
    return by_hand.take(transitions.TICK, **row | later | other)


def test_a_tick_is_fenced(timetable: Timetable, by_hand: ByHand) -> None:
    timetable.create(NOTE(), **ALL)
    assert tick(by_hand) == []  # not due yet
    due = timetable.go_back(2)
    assert tick(by_hand, due_at=due + HOUR) == []
    assert tick(by_hand, version=2) == []
    assert tick(by_hand, name="another") == []
    assert timetable.ticks() == []
    by_hand.take("UPDATE duly.schedules SET deleted_at = now()")
    assert tick(by_hand) == []
    by_hand.take("UPDATE duly.schedules SET deleted_at = NULL")
    assert [row["outcome"] for row in tick(by_hand)] == ["made"]
    assert [row["outcome"] for row in tick(by_hand)] == ["made"]
    assert timetable.jobs() == 2


def test_a_skip_is_fenced(timetable: Timetable, by_hand: ByHand) -> None:
    timetable.create(NOTE(), **ALL)
    due = timetable.go_back(0)
    asked = {"name": NAME, "version": 1, "next_due_at": due + HOUR, "why": "late"}
    assert by_hand.take(transitions.SKIP_TICKS, **asked, due_at=[due]) == []
    due = timetable.go_back(2)
    for wrong in ({"due_at": [due + HOUR]}, {"version": 2}, {"name": "another"}):
        assert by_hand.take(transitions.SKIP_TICKS, **{**asked, "due_at": [due], **wrong}) == []
    by_hand.take("UPDATE duly.schedules SET deleted_at = now()")
    assert by_hand.take(transitions.SKIP_TICKS, **asked, due_at=[due]) == []
    by_hand.take("UPDATE duly.schedules SET deleted_at = NULL")
    assert by_hand.take(transitions.SKIP_TICKS, **asked, due_at=[due]) == [{"due_at": due}]
    assert timetable.outcomes() == ["skipped"]
    assert timetable.jobs() == 0


def test_a_tick_on_record_is_not_skipped_where_it_is_due_again(
    timetable: Timetable, by_hand: ByHand
) -> None:
    timetable.create(NOTE(), **ALL)
    timetable.go_back(1)
    timetable.poll()
    due = timetable.go_back(1)
    asked = {"name": NAME, "version": 1, "next_due_at": due + HOUR, "why": "late"}
    assert by_hand.take(transitions.SKIP_TICKS, **asked, due_at=[due]) == [{"due_at": None}]
    assert timetable.outcomes() == ["made"]


def test_missed_ticks_are_listed_with_why(timetable: Timetable) -> None:
    heard: list[TickMade | TickSkipped] = []
    ends = [on(TickMade, heard.append), on(TickSkipped, heard.append)]
    timetable.create(NOTE(), missed=Missed.RUN_ONCE, catch_up=5 * HOUR)
    timetable.go_back(8)
    timetable.poll(relays=2)
    for end in ends:
        end()
    whys = [(tick.why or "made").partition(":")[2][:34] for tick in timetable.ticks()]
    late, older = " no relay made it within the catch-", " a later tick was due, and only th"
    assert whys[:3] == [late[:34]] * 3
    assert whys[3:7] == [older] * 4
    assert timetable.outcomes()[7:] == ["made"]
    assert timetable.jobs() == 1
    assert [type(event) for event in heard] == [TickSkipped] * 7 + [TickMade]
    assert [event.due_at for event in heard] == [tick.due_at for tick in timetable.ticks()]


def test_more_ticks_than_one_step_skips_are_all_listed(timetable: Timetable) -> None:
    timetable.create(NOTE(), missed=Missed.SKIP)
    timetable.go_back(2_500)
    timetable.poll(relays=2)
    assert timetable.outcomes() == ["skipped"] * 2_500


def test_a_paused_schedule_lists_its_ticks(timetable: Timetable, by_hand: ByHand) -> None:
    timetable.create(NOTE(), **ALL)
    by_hand.take(transitions.PAUSE_SCHEDULE, name=NAME)
    timetable.go_back(2)
    timetable.poll()
    assert [tick.why for tick in timetable.ticks()] == ["the schedule was paused"] * 2
    by_hand.take(transitions.RESUME_SCHEDULE, name=NAME)
    timetable.poll()
    assert timetable.jobs() == 0


def states(by_hand: ByHand) -> list[str]:
    """Of all jobs, in the order in which they were made."""
    return [row["state"] for row in by_hand.take("SELECT state FROM duly.jobs ORDER BY id")]


@pytest.mark.parametrize("is_running", [True, False])
@pytest.mark.parametrize(
    ("overlap", "outcomes"),
    [
        (Overlap.SKIP, ["made", "skipped"]),
        (Overlap.QUEUE, ["made", "waiting"]),
        (Overlap.ALLOW, ["made", "made"]),
        (Overlap.CANCEL_OTHER, ["made", "made"]),
    ],
)
def test_what_a_tick_does_while_an_earlier_job_is_there(
    timetable: Timetable,
    by_hand: ByHand,
    overlap: Overlap,
    outcomes: list[str],
    is_running: bool,
) -> None:
    timetable.create(NOTE(), **ALL | {"overlap": overlap})
    timetable.go_back(2)
    tick(by_hand)
    (first,) = by_hand.take("SELECT id FROM duly.jobs")
    if is_running:
        assert by_hand.claim(first["id"])
    tick(by_hand)
    assert timetable.outcomes() == outcomes
    assert [each.job_id is not None for each in timetable.ticks()] == [
        outcome == "made" for outcome in outcomes
    ]
    if overlap is Overlap.CANCEL_OTHER:
        job = by_hand.job(first["id"])
        assert job["cancel_requested_at"]
        assert job["state"] == ("running" if is_running else "cancelled")
        assert by_hand.event(first["id"]) is None or is_running
    else:
        assert by_hand.job(first["id"])["cancel_requested_at"] is None


@pytest.mark.parametrize("overlap", [Overlap.SKIP, Overlap.QUEUE, Overlap.CANCEL_OTHER])
def test_an_earlier_job_that_has_ended_is_in_nobodys_way(
    timetable: Timetable, by_hand: ByHand, overlap: Overlap
) -> None:
    timetable.create(NOTE(), **ALL | {"overlap": overlap})
    timetable.go_back(2)
    tick(by_hand)
    (first,) = by_hand.take("SELECT id FROM duly.jobs")
    assert by_hand.claim(first["id"])
    assert by_hand.die(first["id"])
    by_hand.submit()
    tick(by_hand)
    assert timetable.outcomes() == ["made", "made"]
    assert by_hand.job(first["id"])["state"] == "dead"


def test_waiting_ticks_make_their_jobs_one_after_the_other(
    timetable: Timetable, by_hand: ByHand
) -> None:
    timetable.create(NOTE(), **ALL | {"overlap": Overlap.QUEUE})
    timetable.go_back(3)
    timetable.poll(relays=3)
    for done in range(1, 4):
        assert timetable.outcomes() == ["made"] * done + ["waiting"] * (3 - done)
        (job,) = by_hand.take("SELECT id FROM duly.jobs WHERE state = 'queued'")
        by_hand.claim(job["id"])
        timetable.poll(relays=3)
        assert timetable.outcomes().count("made") == done
        by_hand.succeed(job["id"])
        timetable.poll(relays=3)
    assert states(by_hand) == ["succeeded"] * 3


def test_a_waiting_tick_waits_while_its_schedule_is_paused_and_ends_with_it(
    timetable: Timetable, by_hand: ByHand
) -> None:
    timetable.create(NOTE(), **ALL | {"overlap": Overlap.QUEUE})
    timetable.go_back(2)
    timetable.poll()
    by_hand.take("UPDATE duly.jobs SET state = 'succeeded'")
    by_hand.take(COPY, other='{"name": "another"}', name=NAME)
    by_hand.take(MADE, name="another")
    assert by_hand.take(transitions.MAKE_WAITING, name="another", job_id=uuid4()) == []
    assert by_hand.take(transitions.WAITING_SCHEDULES) == [{"schedule": NAME}]
    by_hand.take(transitions.PAUSE_SCHEDULE, name=NAME)
    assert by_hand.take(transitions.WAITING_SCHEDULES) == []
    assert by_hand.take(transitions.MAKE_WAITING, name=NAME, job_id=uuid4()) == []
    by_hand.take(transitions.RESUME_SCHEDULE, name=NAME)
    by_hand.take(transitions.DELETE_SCHEDULE, name=NAME, version=None)
    assert [(tick.outcome, tick.why) for tick in timetable.ticks()] == [
        ("made", None),
        ("skipped", "the schedule was deleted"),
    ]
    by_hand.take("UPDATE duly.ticks SET outcome = 'waiting' WHERE why IS NOT NULL")
    assert by_hand.take(transitions.MAKE_WAITING, name=NAME, job_id=uuid4()) == []
    assert by_hand.take(transitions.WAITING_SCHEDULES) == []


def test_the_ticks_and_jobs_of_another_schedule_are_nothing_to_it(
    timetable: Timetable, by_hand: ByHand
) -> None:
    timetable.create(NOTE(), **ALL | {"overlap": Overlap.QUEUE})
    by_hand.take(COPY, other='{"name": "another"}', name=NAME)
    earlier = "UPDATE duly.schedules SET next_due_at = next_due_at - %(n)s WHERE name = 'another'"
    by_hand.take(earlier, n=3 * HOUR)
    timetable.poll()
    timetable.go_back(2)
    tick(by_hand)
    tick(by_hand)
    assert timetable.outcomes() == ["made", "waiting"]
    ended = "UPDATE duly.jobs SET state = 'succeeded' WHERE subject = %(of)s"
    by_hand.take(ended, of=f"schedule:{NAME}")
    timetable.poll()
    assert timetable.outcomes() == ["made", "made"]
    of_another = "SELECT outcome FROM duly.ticks WHERE schedule = 'another' ORDER BY due_at"
    left = [row["outcome"] for row in by_hand.take(of_another)]
    assert left == ["made", "waiting", "waiting"]


def test_a_tick_does_not_overtake_one_that_waits(timetable: Timetable, by_hand: ByHand) -> None:
    timetable.create(NOTE(), **ALL | {"overlap": Overlap.QUEUE})
    timetable.go_back(3)
    tick(by_hand)
    tick(by_hand)
    by_hand.take("UPDATE duly.jobs SET state = 'succeeded'")
    tick(by_hand)
    assert timetable.outcomes() == ["made", "waiting", "waiting"]


SKIPPED = """
INSERT INTO duly.ticks (schedule, due_at, outcome)
SELECT %(name)s, %(after)s::timestamptz + n * interval '1 s', 'skipped'
FROM generate_series(1, 100) AS n
"""


def test_a_job_is_in_the_way_however_many_ticks_were_skipped_since(
    timetable: Timetable, by_hand: ByHand
) -> None:
    timetable.create(NOTE(), **ALL | {"overlap": Overlap.QUEUE})
    due = timetable.go_back(2)
    tick(by_hand)
    by_hand.take(SKIPPED, name=NAME, after=due)
    tick(by_hand)
    assert timetable.outcomes()[-1] == "waiting"
    assert by_hand.take(transitions.MAKE_WAITING, name=NAME, job_id=uuid4()) == []


def test_the_tick_that_has_waited_for_longest_is_made_first(
    timetable: Timetable, by_hand: ByHand
) -> None:
    timetable.create(NOTE(), **ALL | {"overlap": Overlap.QUEUE})
    due = timetable.go_back(3)
    for _ in range(3):
        tick(by_hand)
    by_hand.take("UPDATE duly.jobs SET state = 'succeeded'")
    by_hand.take("UPDATE duly.ticks SET why = 'moved' WHERE due_at = %(at)s", at=due + HOUR)
    by_hand.take(AS_THEY_LIE)
    (made,) = by_hand.take(transitions.MAKE_WAITING, name=NAME, job_id=uuid4())
    assert made["due_at"] == due + HOUR


def test_of_many_jobs_it_is_the_latest_that_are_in_the_way(
    timetable: Timetable, by_hand: ByHand
) -> None:
    timetable.create(NOTE(), **ALL)
    timetable.go_back(103)
    for _ in range(101):
        tick(by_hand)
    latest = "SELECT job_id FROM duly.ticks ORDER BY due_at DESC LIMIT 1"
    by_hand.take(f"UPDATE duly.jobs SET state = 'succeeded' WHERE id <> ({latest})")
    by_hand.take("UPDATE duly.schedules SET overlap = 'skip'")
    tick(by_hand)
    by_hand.take("UPDATE duly.schedules SET overlap = 'queue'")
    tick(by_hand)
    assert by_hand.take(transitions.MAKE_WAITING, name=NAME, job_id=uuid4()) == []
    assert timetable.outcomes() == ["made"] * 101 + ["skipped", "waiting"]


def test_a_tick_that_makes_no_job_cancels_none(timetable: Timetable, by_hand: ByHand) -> None:
    timetable.create(NOTE(), **ALL | {"overlap": Overlap.CANCEL_OTHER})
    timetable.go_back(2)
    tick(by_hand)
    by_hand.take(transitions.PAUSE_SCHEDULE, name=NAME)
    tick(by_hand)
    assert timetable.outcomes() == ["made", "skipped"]
    assert states(by_hand) == ["queued"]


def test_a_tick_cancels_no_jobs_but_those_of_its_schedule(
    timetable: Timetable, by_hand: ByHand
) -> None:
    timetable.create(NOTE(), **ALL | {"overlap": Overlap.CANCEL_OTHER})
    timetable.go_back(2)
    tick(by_hand)
    other = by_hand.submit()
    before = by_hand.job(other)
    tick(by_hand)
    assert sorted(states(by_hand)) == ["cancelled", "queued", "queued"]
    assert by_hand.job(other) == before
    assert by_hand.event(other)


def test_earlier_jobs_are_cancelled_in_the_order_that_people_cancel_in(
    timetable: Timetable, by_hand: ByHand, other_hand: ByHand, engine: Engine
) -> None:
    timetable.create(NOTE(), **ALL)
    timetable.go_back(3)
    tick(by_hand)
    tick(by_hand)
    by_hand.take("UPDATE duly.schedules SET overlap = 'cancel_other'")
    first, second = by_hand.take("SELECT id FROM duly.jobs ORDER BY id")
    lock = "SELECT id FROM duly.jobs WHERE id = %(id)s FOR UPDATE NOWAIT"
    with ThreadPoolExecutor() as aside:
        with engine.begin() as canceller:
            canceller.exec_driver_sql(lock, first)
            ticking = aside.submit(tick, by_hand)
            wait_for("it waits", lambda: other_hand.take(WAITING))
            assert canceller.exec_driver_sql(lock, second).all()
        assert len(ticking.result(60)[0]["cancelled"]) == 2


def test_a_job_that_ends_meanwhile_is_not_cancelled(
    timetable: Timetable, by_hand: ByHand, other_hand: ByHand, database_url: str
) -> None:
    timetable.create(NOTE(), **ALL | {"overlap": Overlap.CANCEL_OTHER})
    timetable.go_back(2)
    tick(by_hand)
    (job,) = by_hand.take("SELECT id FROM duly.jobs")
    assert by_hand.claim(job["id"])
    with ThreadPoolExecutor() as aside:
        with psycopg.connect(database_url) as worker:
            ByHand(worker).succeed(job["id"])
            ticking = aside.submit(tick, by_hand)
            wait_for("it waits", lambda: other_hand.take(WAITING))
        assert ticking.result(60)[0]["cancelled"] == []
    ended = by_hand.job(job["id"])
    assert (ended["state"], ended["cancel_requested_at"]) == ("succeeded", None)
    assert ended["finished_at"]


def test_schedules_that_are_not_due_hide_none_that_is(
    timetable: Timetable, by_hand: ByHand
) -> None:
    timetable.create(NOTE(), **ALL)
    by_hand.take(COPY, other='{"name": "another"}', name=NAME)
    timetable.go_back(1)
    for scan in ("indexscan", "bitmapscan"):  # so that no plan has them in order by itself
        by_hand.take(f"SET enable_{scan} = off")
    assert [row["name"] for row in by_hand.take(transitions.NEXT_TICKS)] == [NAME, "another"]
    timetable.poll()
    assert timetable.outcomes() == ["made"]


def test_a_time_that_python_cannot_represent_stops_no_other_schedule(
    timetable: Timetable, by_hand: ByHand
) -> None:
    timetable.create(NOTE(), **ALL)
    for name, at in (("early", "0044-03-15 BC"), ("late", "20000-01-01")):
        by_hand.take(COPY, other=f'{{"name": "{name}", "next_due_at": "{at}"}}', name=NAME)
    timetable.go_back(1)
    timetable.poll()
    assert timetable.outcomes() == ["made"]


def test_jitter_holds_the_job_back_and_not_the_tick(timetable: Timetable, by_hand: ByHand) -> None:
    timetable.create(NOTE(), **ALL | {"jitter": timedelta(minutes=59)})
    due = timetable.go_back(1)
    tick(by_hand, held_back_seconds=7200)
    (job,) = by_hand.take("SELECT * FROM duly.jobs")
    assert job["run_at"] == due + 2 * HOUR
    assert by_hand.event(job["id"])["available_at"] == job["run_at"]  # type: ignore[index]
    assert timetable.ticks()[0].due_at == due


def test_a_late_job_is_not_older_than_it_is(timetable: Timetable, by_hand: ByHand) -> None:
    """A job is overdue five minutes after its `run_at`."""
    timetable.create(NOTE(), **ALL)
    timetable.go_back(9)
    tick(by_hand)
    (job,) = by_hand.take("SELECT run_at = created_at AS is_now FROM duly.jobs")
    assert job["is_now"]


def test_a_schedule_that_cannot_be_made_stops_no_other(
    timetable: Timetable, by_hand: ByHand
) -> None:
    timetable.create(NOTE(), **ALL)
    timetable.go_back(1)
    by_hand.take(COPY, other='{"name": "unreadable", "cron": "of the next release"}', name=NAME)
    by_hand.take(COPY, other='{"name": "refused"}', name=NAME)
    by_hand.take(
        "UPDATE duly.schedules SET next_due_at = next_due_at - %(hour)s WHERE name <> %(name)s",
        name=NAME,
        hour=HOUR,
    )
    by_hand.take("ALTER TABLE duly.ticks ADD CONSTRAINT no CHECK (schedule <> 'refused')")
    try:
        timetable.poll()
    finally:
        by_hand.take("ALTER TABLE duly.ticks DROP CONSTRAINT no")
    assert timetable.outcomes() == ["made"]
    timetable.poll()
    made = by_hand.take("SELECT DISTINCT schedule FROM duly.ticks ORDER BY 1")
    assert [row["schedule"] for row in made] == ["refused", NAME]


def test_relays_with_other_time_zones_make_no_two_ticks(
    timetable: Timetable, by_hand: ByHand
) -> None:
    """Each computes another tick from the same one; what is on record is what counts."""
    timetable.create(NOTE(), **ALL)
    due = timetable.go_back(5)
    assert tick(by_hand, next_due_at=due + 1.5 * HOUR)
    assert tick(by_hand, due_at=due, next_due_at=due + HOUR) == []
    timetable.poll()
    expected = [due, due + 1.5 * HOUR, *(due + n * HOUR for n in range(2, 5))]
    assert [tick.due_at for tick in timetable.ticks()] == expected


def test_ticks_are_pruned_once_they_are_old_unless_they_wait(
    timetable: Timetable, by_hand: ByHand
) -> None:
    timetable.create(NOTE(), **ALL | {"overlap": Overlap.QUEUE})
    timetable.go_back(5)
    timetable.poll()
    by_hand.take(transitions.PRUNE_TICKS, retention=3 * HOUR)
    assert timetable.outcomes() == ["waiting"] * 4
    by_hand.take("UPDATE duly.ticks SET outcome = 'skipped'")
    by_hand.take(transitions.PRUNE_TICKS, retention=3 * HOUR)
    assert len(timetable.ticks()) == 3
