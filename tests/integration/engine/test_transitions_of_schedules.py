"""What the app's code and people make of schedules, and the record of it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from pydantic import BaseModel
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from outbox import Kind, Kinds, Missed, Overlap, Schedule
from outbox.maintenance.scheduler import Scheduler
from outbox.operations import acts, schedules
from outbox.operations.acts import Act, ActFilter
from outbox.operations.schedules import Changed, Refused, ScheduleRecord, Unknown
from outbox.store import transitions
from tests.protocol.stage import AS_THEY_LIE
from tests.support.engine.by_hand import WAITING, ByHand
from tests.support.engine.line import note_kind, run_aside
from tests.support.engine.schedules import HOUR, NAME, Timetable, hourly
from tests.support.wait import wait_for

NOTE = note_kind("q")
ALL: dict[str, Any] = {
    "missed": Missed.RUN_ALL,
    "overlap": Overlap.ALLOW,
    "catch_up": 200 * HOUR,
}
Do = Callable[..., Any]


@pytest.fixture
def timetable(engine: Engine, sql_now: psycopg.Connection, database_url: str) -> Timetable:
    """A schedule to be created."""
    return Timetable(engine, sql_now, database_url)


@pytest.fixture
def do(engine: Engine) -> Do:
    """Does one of `schedules` in a transaction of its own, as Ann."""

    def do(act: Do, *args: Any, by: str = "ann", **options: Any) -> Any:
        with Session(engine) as session, session.begin():
            return act(session, *args, by=by, **options)

    return do


@pytest.fixture
def shown(engine: Engine) -> Callable[..., ScheduleRecord]:
    """The schedule as it is now."""

    def shown(name: str = NAME) -> ScheduleRecord:
        with Session(engine) as session:
            return schedules.get(session, name)

    return shown


@pytest.fixture
def acted(engine: Engine) -> Callable[[], list[Act]]:
    """The acts of this test on schedules, the last first."""
    with Session(engine) as session:
        before = max((act.id for act in acts.find(session, ActFilter(), limit=1)), default=0)

    def acted() -> list[Act]:
        with Session(engine) as session:
            return [act for act in acts.find(session, ActFilter()) if act.id > before]

    return acted


class Other(BaseModel):
    """A payload that the tests' notes are none of."""

    needed: int


def yearly(**other: Any) -> Schedule:
    """A schedule of which nothing is due in this test."""
    fields: dict[str, Any] = {"name": NAME, "cron": "0 0 1 1 *", "work": NOTE(text="new")}
    return Schedule(**fields | other)


def test_a_schedule_is_there_once(do: Do, shown: Do, acted: Do) -> None:
    assert do(schedules.create, yearly(), why="asked") == 1
    with pytest.raises(Refused, match=r"there is a schedule test\.hourly already"):
        do(schedules.create, yearly(cron="0 1 1 1 *"))
    with pytest.raises(ValueError, match="must have a name"):
        do(schedules.create, yearly(name="other"), by=" ")
    with pytest.raises(Unknown):
        shown("other")
    assert shown().cron == "0 0 1 1 *"
    assert shown().next_due_at > datetime.now(UTC)
    assert shown().schedule(Kinds(NOTE)) == yearly()
    assert [(act.act, act.who, act.why, act.about) for act in acted()] == [
        ("schedule-create", "ann", "asked", [f"schedule:{NAME}"])
    ]


def test_a_deleted_schedules_name_can_be_used_again(
    timetable: Timetable, do: Do, shown: Do, acted: Do
) -> None:
    timetable.create(NOTE(), **ALL)
    timetable.go_back(2)
    timetable.poll()
    do(schedules.pause, NAME)
    do(schedules.delete, NAME, why="done")
    timetable.go_back(2)
    timetable.poll()
    with pytest.raises(Unknown, match="there is no schedule"):
        shown()
    for act in (schedules.delete, schedules.pause, schedules.resume, schedules.run):
        with pytest.raises(Unknown):
            do(act, NAME)
    assert do(schedules.create, yearly()) == 4
    assert shown().paused_at is None
    assert timetable.outcomes() == ["made"] * 2
    assert timetable.jobs() == 2
    assert [act.act.removeprefix("schedule-") for act in acted()] == [
        *("create", "delete", "pause", "create")
    ]


def test_an_edit_holds_from_the_first_tick_after_it(
    timetable: Timetable, do: Do, shown: Do
) -> None:
    timetable.create(NOTE(), **ALL)
    timetable.go_back(3)
    later = (datetime.now(UTC) + HOUR).minute
    assert do(schedules.edit, yearly(cron=f"{later} * * * *", **ALL), 1) == 2
    assert datetime.now(UTC) < shown().next_due_at <= datetime.now(UTC) + HOUR
    timetable.poll()
    why = "the schedule was edited before a relay made it"
    assert [(tick.outcome, tick.why) for tick in timetable.ticks()] == [("skipped", why)] * 3
    assert timetable.jobs() == 0


def test_an_edit_leaves_the_ticks_on_record_as_they_are(timetable: Timetable, do: Do) -> None:
    """Also where they are due again, as after an edit while Postgres's clock is behind."""
    timetable.create(NOTE(), **ALL)
    timetable.go_back(2)
    timetable.poll()
    timetable.go_back(3)
    do(schedules.edit, yearly(), 1)
    assert timetable.outcomes() == ["skipped", "made", "made"]


def test_an_edit_of_the_work_leaves_the_next_tick_alone(
    timetable: Timetable, do: Do, shown: Do, by_hand: ByHand
) -> None:
    cron = hourly()
    timetable.create(NOTE(text="old"), cron, **ALL)
    due = timetable.go_back(1)
    do(schedules.edit, yearly(cron=cron, **ALL), 1)
    assert shown().next_due_at == due
    timetable.poll()
    (job,) = by_hand.take("SELECT payload FROM duly.jobs")
    assert job["payload"]["text"] == "new"


def test_an_edit_of_the_zone_computes_the_next_tick_anew(
    timetable: Timetable, do: Do, shown: Do
) -> None:
    cron = hourly()
    timetable.create(NOTE(), cron, **ALL)
    due = timetable.go_back(1)
    do(schedules.edit, yearly(cron=cron, zone="Asia/Kathmandu", **ALL), 1)
    assert shown().next_due_at > due


def test_of_two_people_who_edit_the_second_is_told(do: Do, shown: Do, acted: Do) -> None:
    do(schedules.create, yearly())
    do(schedules.create, yearly(name="another"))
    assert do(schedules.edit, yearly(subject="ann's"), 1) == 2
    assert shown("another").version == 1
    with pytest.raises(Changed, match="has been changed since: it has version 2"):
        do(schedules.edit, yearly(subject="bob's"), 1, by="bob")
    with pytest.raises(Changed):
        do(schedules.delete, NAME, 1, by="bob")
    assert shown().subject == "ann's"
    assert [act.who for act in acted()] == ["ann"] * 3
    do(schedules.delete, NAME, 2, by="bob")


def test_a_pause_is_a_change_and_is_made_once(do: Do, shown: Do, acted: Do) -> None:
    do(schedules.create, yearly())
    with pytest.raises(Refused, match="is not paused"):
        do(schedules.resume, NAME)
    assert do(schedules.pause, NAME, why="it moves") == 2
    assert (shown().next_runs(3), shown().version) == ([], 2)
    with pytest.raises(Refused, match="is paused already"):
        do(schedules.pause, NAME)
    assert do(schedules.resume, NAME) == 3
    assert len(shown().next_runs(3)) == 3
    assert [act.act for act in acted()] == [
        *("schedule-resume", "schedule-pause", "schedule-create")
    ]


def test_what_the_code_declares_is_written_once(
    timetable: Timetable, shown: Do, by_hand: ByHand
) -> None:
    timetable.declare(yearly(), yearly(name="other"))
    first = shown()
    assert (first.source, first.version) == ("code", 1)
    timetable.declare(yearly(), yearly(name="other"))
    assert shown() == first
    timetable.declare(yearly(subject="new"), yearly(name="other"))
    assert (shown().version, shown().subject) == (2, "new")
    assert shown().next_due_at == first.next_due_at
    timetable.declare(yearly(cron="0 0 2 1 *"), yearly(name="other"))
    assert shown().next_due_at != first.next_due_at
    assert shown("other").version == 1


def test_a_pause_survives_what_the_code_declares(timetable: Timetable, do: Do, shown: Do) -> None:
    timetable.declare(yearly())
    do(schedules.pause, NAME)
    timetable.declare(yearly(subject="new"))
    assert shown().paused_at


def test_a_schedule_that_is_gone_from_the_code_stops(
    timetable: Timetable, do: Do, shown: Do
) -> None:
    do(schedules.create, yearly(name="at.run.time"))
    cron = hourly()
    declared = Schedule(NAME, cron, NOTE(), **ALL | {"overlap": Overlap.QUEUE})
    timetable.declare(declared)
    timetable.go_back(2)
    timetable.poll()
    assert timetable.outcomes() == ["made", "waiting"]
    timetable.declare()
    assert timetable.outcomes() == ["made", "skipped"]
    with pytest.raises(Unknown):
        shown()
    assert shown("at.run.time").source == "runtime"
    timetable.go_back(3)
    timetable.poll()
    assert len(timetable.ticks()) == 2
    timetable.declare(declared)
    assert shown().next_due_at > datetime.now(UTC)


WAITING_TICK = """
INSERT INTO duly.ticks (schedule, due_at, outcome)
SELECT name, now(), 'waiting' FROM duly.schedules
"""
LEFT_WAITING = "SELECT schedule FROM duly.ticks WHERE outcome = 'waiting' ORDER BY 1"


def test_only_what_is_gone_from_the_code_is_locked_and_stops(
    timetable: Timetable, do: Do, by_hand: ByHand
) -> None:
    timetable.declare(*(yearly(name=name) for name in ("deleted", "a", "b", "declared")))
    do(schedules.create, yearly(name="at.run.time"))
    by_hand.take("UPDATE duly.schedules SET deleted_at = now() WHERE name = 'deleted'")
    by_hand.take("UPDATE duly.schedules SET subject = 'moved' WHERE name = 'a'")
    by_hand.take(AS_THEY_LIE)
    locked = by_hand.take(transitions.LOCK_RETIRED, names=["declared"])
    assert [row["name"] for row in locked] == ["a", "b"]
    by_hand.take(WAITING_TICK)
    retired = by_hand.take(transitions.RETIRE_SCHEDULES, names=["declared"])
    assert sorted(row["name"] for row in retired) == ["a", "b"]
    left = [row["schedule"] for row in by_hand.take(LEFT_WAITING)]
    assert left == ["at.run.time", "declared", "deleted"]


@pytest.mark.parametrize(
    ("before", "step"),
    [
        ("NULL", transitions.PAUSE_SCHEDULE),
        ("now()", transitions.RESUME_SCHEDULE),
        ("NULL", transitions.DELETE_SCHEDULE),
    ],
    ids=["pause", "resume", "delete"],
)
def test_what_a_person_does_to_a_schedule_is_fenced(
    do: Do, by_hand: ByHand, before: str, step: str
) -> None:
    for name in (NAME, "another"):
        do(schedules.create, yearly(name=name))
    by_hand.take(WAITING_TICK)
    by_hand.take(f"UPDATE duly.schedules SET paused_at = {before}, deleted_at = now()")
    assert by_hand.take(step, name=NAME, version=None) == []
    by_hand.take("UPDATE duly.schedules SET deleted_at = NULL")
    assert step != transitions.DELETE_SCHEDULE or by_hand.take(step, name=NAME, version=2) == []
    assert by_hand.take(step, name=NAME, version=1) == [{"version": 2}]
    assert by_hand.take(step, name=NAME, version=None) == []
    version = "SELECT version FROM duly.schedules WHERE name = 'another'"
    assert by_hand.take(version) == [{"version": 1}]
    assert {"schedule": "another"} in by_hand.take(LEFT_WAITING)


def test_only_the_code_changes_what_it_declares(timetable: Timetable, do: Do) -> None:
    timetable.declare(yearly())
    with pytest.raises(Refused, match=r"the app's code declares test\.hourly: edit it there"):
        do(schedules.edit, yearly(subject="x"), 1)
    with pytest.raises(Refused, match="delete it there"):
        do(schedules.delete, NAME)
    do(schedules.pause, NAME)
    do(schedules.resume, NAME)
    assert do(schedules.run, NAME)


def test_a_schedule_runs_now_even_if_it_is_paused(
    timetable: Timetable, do: Do, acted: Do, by_hand: ByHand
) -> None:
    do(schedules.create, yearly(name="another"))
    do(schedules.create, yearly())
    do(schedules.pause, NAME)
    made = [do(schedules.run, NAME, why="now") for _ in range(2)]
    assert [tick.job_id for tick in timetable.ticks()] == made
    assert all(tick.due_at.microsecond for tick in timetable.ticks())
    assert timetable.jobs() == 2
    job = by_hand.job(made[0])
    assert (job["submitted_by"], job["subject"]) == ("ann", f"schedule:{NAME}")
    assert acted()[0].about == [f"schedule:{NAME}", f"job:{made[1]}"]


def test_a_backfill_makes_what_is_missing(timetable: Timetable, do: Do, acted: Do) -> None:
    timetable.create(NOTE(), **ALL | {"missed": Missed.RUN_ONCE})
    first = timetable.go_back(4)
    timetable.poll()
    assert timetable.outcomes() == ["skipped"] * 3 + ["made"]
    jobs = do(schedules.backfill, NAME, first - HOUR, first + 900 * HOUR, why="an outage")
    assert [tick.due_at for tick in timetable.ticks()] == [first + n * HOUR for n in range(-1, 4)]
    assert timetable.outcomes() == ["made"] * 5
    assert [tick.job_id for tick in timetable.ticks()[:4]] == jobs
    assert do(schedules.backfill, NAME, first - HOUR, first + 900 * HOUR) == []
    assert timetable.jobs() == 5
    assert acted()[1].about == [f"schedule:{NAME}", *(f"job:{job}" for job in jobs)]


def test_a_backfill_leaves_out_where_its_range_ends(timetable: Timetable, do: Do) -> None:
    timetable.create(NOTE(), **ALL)
    first = timetable.go_back(4)
    do(schedules.backfill, NAME, first, first + HOUR)
    assert [tick.due_at for tick in timetable.ticks()] == [first]
    timetable.poll()
    assert timetable.jobs() == 4


def test_a_backfill_of_too_much_is_refused(timetable: Timetable, do: Do) -> None:
    timetable.create(NOTE())
    now = datetime.now(UTC)
    with pytest.raises(ValueError, match="more than 1000 ticks are in this range"):
        do(schedules.backfill, NAME, now - timedelta(days=42), now)
    assert timetable.ticks() == []


def test_a_schedule_deleted_while_its_job_runs_leaves_the_job_alone(
    timetable: Timetable, do: Do, by_hand: ByHand
) -> None:
    timetable.create(NOTE(), **ALL)
    timetable.go_back(1)
    timetable.poll()
    (made,) = timetable.ticks()
    assert made.job_id
    assert by_hand.claim(made.job_id)
    do(schedules.delete, NAME)
    assert by_hand.succeed(made.job_id)
    assert [tick.job_id for tick in timetable.ticks()] == [made.job_id]


def test_a_deletion_lists_what_was_due_before(timetable: Timetable, do: Do) -> None:
    timetable.create(NOTE(), **ALL)
    timetable.go_back(2)
    do(schedules.delete, NAME)
    why = "the schedule was deleted before a relay made it"
    assert [(tick.outcome, tick.why) for tick in timetable.ticks()] == [("skipped", why)] * 2


@pytest.mark.parametrize("source", ["runtime", "code"])
def test_a_tick_made_during_a_deletion_does_not_wait_for_ever(
    timetable: Timetable, do: Do, by_hand: ByHand, other_hand: ByHand, source: str
) -> None:
    timetable.create(NOTE(), **ALL | {"overlap": Overlap.QUEUE})
    by_hand.take("UPDATE duly.schedules SET source = %(source)s", source=source)
    timetable.go_back(2)
    with ThreadPoolExecutor() as aside:
        with by_hand.connection.transaction():
            for _ in range(2):
                read = "SELECT next_due_at AS due_at, version FROM duly.schedules"
                (row,) = by_hand.take(read)
                more = {"next_due_at": row["due_at"] + HOUR, "job_id": uuid4()}
                by_hand.take(transitions.TICK, **row, **more, name=NAME, held_back_seconds=0)
            act = (timetable.declare,) if source == "code" else (do, schedules.delete, NAME)
            deleting = aside.submit(*act)
            wait_for("it waits", lambda: other_hand.take(WAITING))
        deleting.result(60)
    assert timetable.outcomes() == ["made", "skipped"]


def test_a_schedule_that_nobody_here_can_read_is_deleted_all_the_same(
    timetable: Timetable, do: Do, by_hand: ByHand
) -> None:
    timetable.create(NOTE(), **ALL)
    timetable.go_back(2)
    by_hand.take("UPDATE duly.schedules SET zone = 'Mars/Phobos'")
    do(schedules.delete, NAME)
    with pytest.raises(Unknown):
        timetable.schedule()


def test_what_was_due_before_a_deploy_is_made_first(
    timetable: Timetable, database_url: str
) -> None:
    timetable.create(NOTE(), **ALL)
    timetable.go_back(2)
    declared = yearly()
    stop = run_aside(Scheduler(database_url, [declared], lambda: None).run)
    try:
        wait_for("the deploy", lambda: timetable.schedule().cron == declared.cron)
    finally:
        stop()
    assert timetable.outcomes() == ["made"] * 2


def test_what_was_deleted_meanwhile_makes_no_job(
    timetable: Timetable, do: Do, by_hand: ByHand
) -> None:
    do(schedules.create, yearly())
    do(schedules.delete, NAME)
    asked = {"name": NAME, "due_at": [datetime.now(UTC)], "job_id": [uuid4()]}
    assert by_hand.take(transitions.MAKE_TICKS, **asked, why="", by="ann") == []
    assert timetable.ticks() == []


def test_a_kind_that_is_gone_is_named(do: Do, shown: Do) -> None:
    do(schedules.create, yearly())
    with pytest.raises(ValueError, match=r"kind: test\.note is no kind of this app"):
        shown().schedule(Kinds())
    with pytest.raises(ValueError, match=r"^payload: test\.note has another one now$"):
        shown().schedule(Kinds(Kind("test.note", Other, queue="q")))


def test_a_schedule_that_nobody_here_can_read_is_shown_without_its_next_runs(
    do: Do, shown: Do, by_hand: ByHand
) -> None:
    do(schedules.create, yearly())
    by_hand.take("UPDATE duly.schedules SET zone = 'Mars/Phobos'")
    assert shown().next_runs(3) == []


def test_schedules_are_listed_by_name(engine: Engine, do: Do) -> None:
    for name in ("b", "a", "c"):
        do(schedules.create, yearly(name=name))
    do(schedules.delete, "b")
    with Session(engine) as session:
        assert [each.name for each in schedules.find(session)] == ["a", "c"]
        assert [each.name for each in schedules.find(session, limit=1)] == ["a"]
        assert [each.name for each in schedules.find(session, after="a")] == ["c"]
