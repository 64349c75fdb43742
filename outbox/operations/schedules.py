"""What people see of schedules and do to them. Each act is on record, in its own transaction."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from typing import Any
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import select, text
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from outbox.kinds import Kinds
from outbox.operations import acts
from outbox.schedules.cron import Cron
from outbox.schedules.row import values
from outbox.schedules.schedule import Missed, Overlap, Schedule
from outbox.store import transitions
from outbox.store.schema import schedules as table
from outbox.store.schema import ticks as ticks_table
from outbox.submission.pending import wake_up_after_commit

MOST_BACKFILLED = 1_000
"""How many ticks one backfill makes."""
MOST_SHOWN = 1_000
MOST_LISTED = 10_000
"""How many unmade ticks an edit or a deletion lists."""
ACTS = {"run": "run now", "backfill": "backfilled"}
"""Why a tick was made that no relay made."""


class Refused(Exception):
    """The schedule's state does not allow the act; nothing was changed."""


class Unknown(Refused):
    """There is no such schedule."""


class Changed(Refused):
    """Somebody has changed the schedule since the version that the caller knows."""


@dataclass(frozen=True, slots=True)
class ScheduleRecord:
    """A row of `schedules`. `source` is code or runtime."""

    name: str
    source: str
    cron: str
    zone: str
    kind: str
    queue: str
    priority: int
    payload: Any
    attempt_budget: int
    subject: str | None
    overlap: str
    missed: str
    catch_up_seconds: int
    jitter_seconds: int
    version: int
    next_due_at: datetime | None
    paused_at: datetime | None
    created_at: datetime
    updated_at: datetime

    def next_runs(self, most: int) -> list[datetime]:
        """The next ticks, computed now. None while it is paused, or if nobody here can read it."""
        if self.next_due_at is None or self.paused_at is not None:
            return []
        try:
            return list(islice(self._from(self.next_due_at), most))
        except ValueError:  # of a later release, or a zone that this machine does not know
            return []

    def between(self, since: datetime, until: datetime) -> Iterator[datetime]:
        """The ticks from `since` on, and before `until`."""
        return takewhile(lambda tick: tick < until, self._from(since))

    def _from(self, moment: datetime) -> Iterator[datetime]:
        return Cron(self.cron, self.zone).after(moment - timedelta(microseconds=1))

    def schedule(self, kinds: Kinds) -> Schedule:
        """The schedule as an app declares one.

        Raises ValueError if the app does not have its kind, or the kind another payload now.
        """
        kind = kinds.get(self.kind)
        if kind is None:
            raise ValueError(f"kind: {self.kind} is no kind of this app")
        try:
            work = kind.parse(self.payload)
        except ValidationError:  # whose text quotes the payload
            raise ValueError(f"payload: {self.kind} has another one now") from None
        return Schedule(
            name=self.name,
            cron=self.cron,
            work=work,
            zone=self.zone,
            overlap=Overlap(self.overlap),
            missed=Missed(self.missed),
            catch_up=timedelta(seconds=self.catch_up_seconds),
            jitter=timedelta(seconds=self.jitter_seconds),
            subject=self.subject,
        )


@dataclass(frozen=True, slots=True)
class TickRecord:
    """A row of `ticks`: `made` with its job, `waiting`, or `skipped` with why."""

    due_at: datetime
    outcome: str
    why: str | None
    job_id: UUID | None
    recorded_at: datetime


def find(
    session: Session, *, limit: int = MOST_SHOWN, after: str | None = None
) -> list[ScheduleRecord]:
    """The schedules by name, from those after the name `after`. Without the deleted ones."""
    query = _query().order_by(table.c.name).limit(limit)
    if after is not None:
        query = query.where(table.c.name > after)
    return [ScheduleRecord(**row) for row in session.execute(query).mappings()]


def get(session: Session, name: str) -> ScheduleRecord:
    """The schedule. Raises Unknown."""
    return _one(session, name, _query())


def ticks(
    session: Session, name: str, *, limit: int = 50, before: datetime | None = None
) -> list[TickRecord]:
    """The newest ticks that are on record, from those due before `before`."""
    names = TickRecord.__dataclass_fields__
    query = select(*(ticks_table.c[each] for each in names)).where(ticks_table.c.schedule == name)
    if before is not None:
        query = query.where(ticks_table.c.due_at < before)
    query = query.order_by(ticks_table.c.due_at.desc()).limit(limit)
    return [TickRecord(**row) for row in session.execute(query).mappings()]


def create(session: Session, schedule: Schedule, *, by: str, why: str | None = None) -> int:
    """Create it; its first tick is the first after now. Returns its version.

    Nothing is there before the caller's transaction commits. Raises Refused if there is one of this
    name, and ValueError if `by` names nobody.
    """
    row = values(schedule, "runtime", now(session))
    version = _change(session, transitions.CREATE_SCHEDULE, row, "create", by, why)
    if version is None:
        raise Refused(f"there is a schedule {schedule.name} already")
    return version


def edit(
    session: Session, schedule: Schedule, version: int, *, by: str, why: str | None = None
) -> int:
    """Give the schedule of this name these values, if it still has this version.

    They hold from the first tick after the commit. Returns the new version. Raises Unknown,
    Changed, and Refused if the app's code declares it.
    """
    before = _locked(session, schedule.name)
    _refuse_if_declared(before, "edit")
    row = values(schedule, "runtime", now(session)) | {"version": version}
    found = _change(session, transitions.EDIT_SCHEDULE, row, "edit", by, why)
    if found is None:
        return int(_raise_changed(session, schedule.name))
    if (before.cron, before.zone) != (schedule.cron, schedule.zone):
        _list_unmade(session, before, "edited")
    return found


def pause(session: Session, name: str, *, by: str, why: str | None = None) -> int:
    """List its ticks as skipped from now on. Raises Unknown, and Refused if it is paused."""
    return _switch(session, transitions.PAUSE_SCHEDULE, name, "pause", by, why)


def resume(session: Session, name: str, *, by: str, why: str | None = None) -> int:
    """Have its ticks make jobs again. Raises Unknown, and Refused if it is not paused."""
    return _switch(session, transitions.RESUME_SCHEDULE, name, "resume", by, why)


def delete(
    session: Session, name: str, version: int | None = None, *, by: str, why: str | None = None
) -> None:
    """End it. Its ticks and jobs stay, running ones go on. Raises as `edit` does."""
    before = _locked(session, name)
    _refuse_if_declared(before, "delete")
    row = {"name": name, "version": version}
    if _change(session, transitions.DELETE_SCHEDULE, row, "delete", by, why) is None:
        _raise_changed(session, name)
    _list_unmade(session, before, "deleted")


def run(session: Session, name: str, *, by: str, why: str | None = None) -> UUID:
    """Submit its job now, even if it is paused or another runs; returns the job's id.

    Raises Unknown.
    """
    get(session, name)
    moment = now(session)
    # A tick is due at a whole second. This one must not take the place of one.
    moment += timedelta(microseconds=not moment.microsecond)
    (job,) = _make(session, name, [moment], "run", by, why)
    return job


def backfill(
    session: Session,
    name: str,
    since: datetime,
    until: datetime,
    *,
    by: str,
    why: str | None = None,
) -> list[UUID]:
    """Submit the jobs of the ticks from `since` on, before `until` and now; returns their ids.

    A tick that has its job already makes no other. `overlap` does not hold them back. Raises
    Unknown, and ValueError if there are more than `MOST_BACKFILLED` ticks.
    """
    record = get(session, name)
    until = min(until, now(session))
    due = list(islice(record.between(since, until), MOST_BACKFILLED + 1))
    if len(due) > MOST_BACKFILLED:
        raise ValueError(f"since: more than {MOST_BACKFILLED} ticks are in this range")
    return _make(session, name, due, "backfill", by, why)


def _make(
    session: Session, name: str, due: Sequence[datetime], act: str, by: str, why: str | None
) -> list[UUID]:
    asked = {
        "name": name,
        "due_at": list(due),
        "job_id": [uuid7() for _ in due],
        "why": ACTS[act],
        "by": acts.named(by),
        "trace": None,
    }
    made = session.connection().exec_driver_sql(transitions.MAKE_TICKS, asked).all()
    jobs = [row.job_id for row in made]
    about = [f"schedule:{name}", *(f"job:{job}" for job in jobs)]
    acts.record(session, f"schedule-{act}", about, who=by, why=why)
    if jobs:
        wake_up_after_commit(session)
    return jobs


def _list_unmade(session: Session, before: ScheduleRecord, act: str) -> None:
    """List the ticks that were due and not yet made: the act has taken them from the relays."""
    asked = {
        "name": before.name,
        "due_at": list(islice(_unmade(before, now(session)), MOST_LISTED)),
        "why": f"the schedule was {act} before a relay made it",
    }
    session.connection().exec_driver_sql(transitions.LIST_UNMADE, asked)


def _unmade(before: ScheduleRecord, now: datetime) -> Iterator[datetime]:
    """None if nobody here can read the schedule: it may be deleted and edited all the same."""
    if before.next_due_at is not None:
        with suppress(ValueError):
            yield from before.between(before.next_due_at, now)


def _switch(
    session: Session, transition: str, name: str, act: str, by: str, why: str | None
) -> int:
    version = _change(session, transition, {"name": name}, act, by, why)
    if version is not None:
        return version
    get(session, name)
    raise Refused(f"{name} is {'paused already' if act == 'pause' else 'not paused'}")


def _change(
    session: Session, transition: str, row: dict[str, Any], act: str, by: str, why: str | None
) -> int | None:
    """The schedule's new version, with the act on record; None if there was nothing to change."""
    acts.named(by)
    version: int | None = session.connection().exec_driver_sql(transition, row).scalar()
    if version is not None:
        acts.record(session, f"schedule-{act}", [f"schedule:{row['name']}"], who=by, why=why)
    return version


def _refuse_if_declared(record: ScheduleRecord, act: str) -> None:
    if record.source == "code":
        raise Refused(f"the app's code declares {record.name}: {act} it there, or pause it")


def _raise_changed(session: Session, name: str) -> Any:
    newer = get(session, name)
    raise Changed(f"{name} has been changed since: it has version {newer.version}")


def now(session: Session) -> datetime:
    """Postgres's time."""
    read: datetime = session.execute(text("SELECT clock_timestamp()")).scalar_one()
    return read.astimezone(UTC)


def _locked(session: Session, name: str) -> ScheduleRecord:
    """The schedule, which no relay moves on meanwhile: a tick that it makes now is seen."""
    return _one(session, name, _query().with_for_update())


def _one(session: Session, name: str, query: Any) -> ScheduleRecord:
    row = session.execute(query.where(table.c.name == name)).mappings().first()
    if row is None:
        raise Unknown(f"there is no schedule {name}")
    return ScheduleRecord(**row)


def _query() -> Any:
    names = ScheduleRecord.__dataclass_fields__
    return select(*(table.c[name] for name in names)).where(table.c.deleted_at.is_(None))
