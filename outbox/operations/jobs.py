"""Jobs as clients and operators see them: get, list, cancel."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    Text,
    case,
    cast,
    func,
    literal_column,
    null,
    select,
)
from sqlalchemy.orm import Session

from outbox.events import Cancelled
from outbox.operations import acts, pages, progress
from outbox.operations.pages import Order, Page, Row, collect
from outbox.operations.progress import ProgressRecord
from outbox.postgres.after_commit import announce
from outbox.store import transitions
from outbox.store.schema import attempts as attempts_table
from outbox.store.schema import jobs as jobs_table
from outbox.values import depth

LARGEST_PAGE = 1000
"""How many jobs a list holds. `find` returns up to one more, which shows that there are more."""
LARGEST_IN_LIST = 4_000
"""The largest payload or result, in bytes of JSON, that a list still holds."""
JSON = ("payload", "result")
SCHEDULED = "scheduled"
ID_SLACK = 86_400_000
"""How far, in milliseconds, the moment in a job's id may be from its `created_at`.

The id has the submitter's clock, and `created_at` is when its transaction began in Postgres.
"""


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A row of `jobs`. `payload` and `result` are unredacted: see outbox/redaction/fields.py.

    `left_out` names those of the two that are too large for a list; they are None then. `depth.CUT`
    replaces what is nested deeper than `depth.DEEPEST`.
    """

    id: UUID
    kind: str
    queue: str
    priority: int
    payload: Any
    state: str
    dispatch: int
    attempt: int
    attempt_limit: int
    replays: int
    worker: str | None
    result: Any
    subject: str | None
    parent_id: UUID | None
    submitted_by: str | None
    batch_id: UUID | None
    created_at: datetime
    run_at: datetime
    started_at: datetime | None
    cancel_requested_at: datetime | None
    finished_at: datetime | None
    progress: ProgressRecord | None
    expires_at: datetime | None
    cancel_reason: str | None
    keys: list[str] | None
    left_out: tuple[str, ...]

    @property
    def attempts_left(self) -> int:
        """How many more attempts there may be; 0 if it has ended, or is to be cancelled."""
        ends = self.finished_at is not None or self.cancel_requested_at is not None
        return 0 if ends else max(0, self.attempt_limit - self.attempt)

    @property
    def shows_values(self) -> bool:
        """Whether payload or result is here: whoever sees this record sees some of them."""
        return self.payload is not None or self.result is not None


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """An attempt that did not succeed, with its error."""

    attempt: int
    outcome: str
    error_type: str
    error_message: str
    traceback: str | None
    worker: str | None
    started_at: datetime | None
    finished_at: datetime


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs to list; None does not restrict.

    `state` is a state, or `scheduled`: queued with `run_at` in the future. `queued` includes those.
    `since` (inclusive) and `until` (exclusive) restrict `created_at`. `parent_id` is the job whose
    actor submitted them.
    """

    state: str | None = None
    kind: str | None = None
    queue: str | None = None
    subject: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    parent_id: UUID | None = None
    batch_id: UUID | None = None

    def conditions(self, rows: FromClause) -> list[ColumnElement[bool]]:
        """The filter as SQL on `rows`."""
        wanted = ("kind", "queue", "subject", "parent_id", "batch_id")
        given = {name: value for name in wanted if (value := getattr(self, name)) is not None}
        found = [rows.c[name] == value for name, value in given.items()]
        if self.state == SCHEDULED:
            found += [rows.c.state == "queued", rows.c.run_at > func.now()]
        elif self.state is not None:
            found.append(rows.c.state == self.state)
        if self.since is not None:
            found.append(rows.c.created_at >= self.since)
        if self.until is not None:
            found.append(rows.c.created_at < self.until)
        return found

    def few(self) -> Iterator[Select[Any]]:
        """Those that an index may find among few, in its order: by subject, then by state.

        A range of a single subject is in the order of its index; an equation is in any order.
        """
        if self.subject is not None:
            subject = jobs_table.c.subject
            yield (
                select(jobs_table)
                .where(subject >= self.subject, subject <= self.subject)
                .order_by(subject)
            )
        if self.state in ("queued", SCHEDULED):
            queued = select(jobs_table).where(_is("queued")).order_by(jobs_table.c.run_at)
            is_later = jobs_table.c.run_at > func.now()
            yield queued.where(is_later) if self.state == SCHEDULED else queued
        if self.state == "running":
            yield select(jobs_table).where(_is("running")).order_by(jobs_table.c.worker)

    def within(self) -> list[ColumnElement[bool]]:
        """What an index finds in the order of ids: no other rows need be searched."""
        found = self.id_bounds(jobs_table)
        if self.batch_id is not None:
            found.append(jobs_table.c.batch_id == self.batch_id)
        elif self.parent_id is not None:
            found.append(jobs_table.c.parent_id == self.parent_id)
        elif self.state in ("dead", "cancelled"):
            found.append(_is(self.state))
        return found

    def id_bounds(self, rows: FromClause) -> list[ColumnElement[bool]]:
        """Bounds for the ids of jobs created between `since` and `until`, to search no others."""
        found: list[ColumnElement[bool]] = []
        if self.since is not None:
            found.append(rows.c.id >= _first_id(self.since, -ID_SLACK))
        if self.until is not None:
            found.append(rows.c.id < _first_id(self.until, ID_SLACK))
        return found


def get(session: Session, job_id: UUID) -> JobRecord | None:
    """The job with its full payload and result, or None."""
    whole = _columns(jobs_table, *(_text(jobs_table, name) for name in JSON))
    return _first(session, whole, job_id)


def get_summary(session: Session, job_id: UUID) -> JobRecord | None:
    """The job as a list shows it, or None."""
    return _first(session, _brief(jobs_table), job_id)


def find_page(
    session: Session, wanted: JobFilter, *, limit: int = 50, before: UUID | None = None
) -> Page[JobRecord]:
    """The newest jobs first, from those older than the job `before`.

    Ids are UUIDv7, so they are in order of creation: paging by id needs neither offset nor further
    index. Payloads and results over `LARGEST_IN_LIST` are not read: `get` reads them. A page may be
    short: see outbox/operations/pages.py.
    """

    def query(rows: FromClause) -> Select[Any]:
        return _brief(rows).where(*wanted.conditions(rows))

    order, most = Order(before), min(limit, LARGEST_PAGE + 1)
    pages_of_few = (pages.read_few(session, few, query, order, most) for few in wanted.few())
    page = next(filter(None, pages_of_few), None)
    if page is None:
        page = pages.read(session, jobs_table, query, order, most, *wanted.within())
    return Page([_record(row) for row in page.rows], page.after)


def find(
    session: Session, wanted: JobFilter, *, limit: int = 50, before: UUID | None = None
) -> list[JobRecord]:
    """Up to `limit` jobs, from as many pages as that takes."""

    def page(after: UUID | None) -> Page[JobRecord]:
        return find_page(session, wanted, limit=limit, before=after)

    return collect(page, before, min(limit, LARGEST_PAGE + 1))


def attempts(session: Session, job_id: UUID) -> list[AttemptRecord]:
    """The job's failed attempts, first to last. The current or successful one is in `jobs` only."""
    names = list(AttemptRecord.__dataclass_fields__)
    query = (
        select(*(attempts_table.c[name] for name in names))
        .where(attempts_table.c.job_id == job_id)
        .order_by(attempts_table.c.attempt)
    )
    return [AttemptRecord(**row) for row in session.execute(query).mappings()]


def cancel(session: Session, job_id: UUID, *, by: str, why: str | None = None) -> str | None:
    """Cancel one job, as `cancel_all` does; its state then, or None if that did nothing."""
    return cancel_all(session, [job_id], by=by, why=why).get(job_id)


def cancel_all(
    session: Session, ids: Sequence[UUID], *, by: str, why: str | None = None
) -> dict[UUID, str]:
    """Cancel queued jobs, and ask running ones not to run again, in one statement.

    Returns their states now: `cancelled`, or `running` for those that were only asked. Leaves out
    those that are not there or have ended. Records who and why in the same transaction. Raises
    ValueError if `by` names nobody.
    """
    parameters = {"ids": list(ids), "by": acts.named(by), "why": why or None}
    rows = session.connection().exec_driver_sql(transitions.CANCEL, parameters).all()
    for row in rows:
        if row.state == "cancelled":
            announce(session, Cancelled(job_id=row.id, kind=row.kind, by=by, why=why))
    return {row.id: row.state for row in rows}


def find_open(session: Session, wanted: JobFilter, limit: int | None = None) -> list[UUID]:
    """The ids of all matching jobs that have not ended, the newest first."""
    is_open = jobs_table.c.state.in_(("queued", "running"))
    query = select(jobs_table.c.id).where(is_open, *wanted.conditions(jobs_table)).limit(limit)
    return [*session.scalars(Order().of(query, jobs_table))]


def _first_id(moment: datetime, slack: int) -> UUID:
    """The least UUIDv7 of this moment plus `slack`: its first 48 bits are milliseconds."""
    milliseconds = int(moment.timestamp() * 1000) + slack
    return UUID(int=min(max(milliseconds, 0), 2**48 - 1) << 80)


def _is(state: str) -> ColumnElement[bool]:
    """The state as partial indexes have it: a parameter could be any state."""
    return jobs_table.c.state == literal_column(f"'{state}'")


def _first(session: Session, query: Select[Any], job_id: UUID) -> JobRecord | None:
    row = session.execute(query.where(jobs_table.c.id == job_id)).mappings().first()
    return _record(row) if row else None


def _record(row: Row) -> JobRecord:
    values = dict(row)
    has_result = values.pop("has_result")
    left_out = [name for name in JSON if values[name] is None and (name == "payload" or has_result)]
    read = {name: values[name] and depth.read(values[name]) for name in JSON}
    running = values["attempt"] if values["state"] == "running" else None
    read["progress"] = progress.read(values["progress"], running)
    return JobRecord(**values | read, left_out=tuple(left_out))


def _brief(rows: FromClause) -> Select[Any]:
    return _columns(rows, *(_text_if_small(rows, name) for name in JSON))


def _columns(rows: FromClause, *values: ColumnElement[Any]) -> Select[Any]:
    """All columns, with `values` for the JSON ones: as text, since any JSON parser has limits."""
    names = [n for n in JobRecord.__dataclass_fields__ if n not in (*JSON, "left_out")]
    has_result = rows.c.result.is_not(None).label("has_result")
    return select(*(rows.c[name] for name in names), *values, has_result)


def _text(rows: FromClause, name: str) -> ColumnElement[Any]:
    return cast(rows.c[name], Text).label(name)


def _text_if_small(rows: FromClause, name: str) -> ColumnElement[Any]:
    """The column as text if it is small. Its size as stored is known without reading the value."""
    column, text = rows.c[name], cast(rows.c[name], Text)
    return case(
        (func.pg_column_size(column) > LARGEST_IN_LIST, null()),
        (func.octet_length(text) <= LARGEST_IN_LIST, text),
    ).label(name)
