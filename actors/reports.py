"""Builds reports of what was invoiced, and asks for that of each month."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import partial
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from actors.reporting import csv_file, xlsx_file
from actors.reporting.figures import Figures, Group, Total, snapshot
from outbox import Job, actor
from outbox.operations import schedules
from service.documents.store import PART, documents
from service.files.keeping import keep, reserve
from service.files.models import File
from service.job_times import time_of
from service.reports.formats import FORMATS, MEDIA_TYPES, Format
from service.reports.kinds import (
    BUILD_REPORT,
    REPORT_LAST_MONTH,
    BuildReport,
    ReportGone,
    ReportLastMonth,
)
from service.reports.models import Report
from service.reports.period import Period
from service.reports.requests import ask_for
from service.reports.schedule import MONTHLY
from service.settings import settings

Sizes = dict[Format, int]
"""What was stored: bytes by format."""
Tell = Callable[[Iterable[Group]], Iterator[Group]]
"""Passes groups on, and reports the job's progress with each."""


@actor(BUILD_REPORT)
def build(work: BuildReport, job: Job) -> None:
    """Store the report's files, then make them the report's in the commit that completes the job.

    All figures are read from one snapshot. Each run stores documents of its own names, so that
    a worker that was taken for dead cannot change the files of a report that is ready. If the
    process dies before the commit, the report has no files, the next attempt begins anew, and what
    this one has stored is deleted a day later (see service/files/keeping.py).
    """
    _reserve(work, job)
    totals, sizes = _store(work, job)
    with job.transaction() as session:
        _finish(_report(session, job.id), session, job, totals, sizes)
        job.result = {"bytes": sizes}


@actor(REPORT_LAST_MONTH)
def report_last_month(_: ReportLastMonth, job: Job) -> None:
    """Ask for the report of the month before the tick, as a person would.

    The month is that of the tick, not of now: a tick that is made late, or by a backfill, has its
    own. If the same report is being built, nothing more is asked for.
    """
    with job.transaction() as session:
        period = Period.month_before(_due_at(session, job.id), settings().reports_zone)
        report, _job = ask_for(session, period, FORMATS, by=f"schedule:{MONTHLY.name}")
        job.result = {"report": str(report.id), "period": str(period)}


def _reserve(work: BuildReport, job: Job) -> None:
    with job.sessions() as session, session.begin():
        for each in work.formats:
            reserve(session, name=_name(job, each), by=f"job:{job.id}")


def _store(work: BuildReport, job: Job) -> tuple[list[Total], Sizes]:
    """Write all files of the report; its totals, and what was stored."""
    sizes: Sizes = {}
    with snapshot(job) as session:
        requested_at = _report(session, job.id).requested_at
        figures = Figures(session, work.period)
        totals = figures.totals()
        tell = _progress(job, len(work.formats) * sum(each.invoices for each in totals))
        for each in work.formats:
            name = _name(job, each)
            WRITE[each](name, figures, totals, requested_at, partial(tell, f"writing {each}"))
            sizes[each] = documents().size(name)
    return totals, sizes


def _write_csv(name: str, figures: Figures, _: list[Total], __: datetime, tell: Tell) -> None:
    documents().write(name, csv_file.parts(tell(figures.groups())))


def _write_xlsx(
    name: str, figures: Figures, totals: list[Total], requested_at: datetime, tell: Tell
) -> None:
    with xlsx_file.written(totals, tell(figures.groups()), requested_at) as file:
        documents().write(name, iter(partial(file.read, PART), b""))


def _write_pdf(
    name: str, figures: Figures, totals: list[Total], requested_at: datetime, _: Tell
) -> None:
    from actors.drawing.report import draw  # when it is needed: see docs/decisions/0064

    pdf = draw(figures.period, totals, figures.days(), figures.customers(), requested_at)
    documents().put(name, pdf)


WRITE: dict[Format, Callable[[str, Figures, list[Total], datetime, Tell], None]] = {
    "csv": _write_csv,
    "xlsx": _write_xlsx,
    "pdf": _write_pdf,
}


def _progress(job: Job, total: int) -> Callable[[str, Iterable[Group]], Iterator[Group]]:
    """What passes groups on, and reports the job's progress in invoices, over all files."""
    done = 0

    def tell(note: str, groups: Iterable[Group]) -> Iterator[Group]:
        nonlocal done
        for group in groups:
            yield group
            done += group.invoices
            job.progress(done, total, note)

    return tell


def _finish(
    report: Report, session: Session, job: Job, totals: Iterable[Total], sizes: Sizes
) -> None:
    """Make the files the report's, and have them expire together."""
    files = {each: _keep(session, _name(job, each), each, size) for each, size in sizes.items()}
    report.files = {each: {"file": str(files[each].id), "bytes": sizes[each]} for each in files}
    report.expires_at = next(iter(files.values())).expires_at
    report.totals = [each._asdict() | {"amount": str(each.amount)} for each in totals]
    report.built_at = session.scalars(select(func.now())).one()


def _keep(session: Session, name: str, format_: Format, size: int) -> File:
    kept = settings().keep_reports
    return keep(session, name, size=size, media_type=MEDIA_TYPES[format_], expires_in=kept)


def _report(session: Session, report_id: UUID) -> Report:
    report = session.get(Report, report_id)
    if report is None:
        raise ReportGone(f"there is no report {report_id}: ask for one by POST /v1/reports")
    return report


def _due_at(session: Session, job_id: UUID) -> datetime:
    """When the tick was due that made the job; when the job was made, if it was no tick."""
    for tick in schedules.ticks(session, MONTHLY.name, limit=schedules.MOST_BACKFILLED):
        if tick.job_id == job_id:
            return tick.due_at
    return time_of(job_id)


def _name(job: Job, format_: Format) -> str:
    return f"reports/{job.id}/{job.dispatch}.{format_}"


ACTORS = (build, report_last_month)
