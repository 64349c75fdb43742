"""Asks for a report, in the transaction of whoever wants it."""

from sqlalchemy.orm import Session

from outbox import SubmittedJob, flush_jobs, submit
from service.reports.formats import Format, in_order
from service.reports.kinds import BUILD_REPORT
from service.reports.models import Report
from service.reports.period import Period


def ask_for(
    session: Session, period: Period, formats: tuple[Format, ...], by: str | None = None
) -> tuple[Report, SubmittedJob]:
    """The report of these days, and the job that builds it. Nothing is there before the commit.

    If the same report is being built, it is that one: its job `is_duplicate`. The job is written
    here, not at the commit, because the report has its id.
    """
    first_day, last_day, zone = period.first_day, period.last_day, period.zone
    work = BUILD_REPORT(first_day=first_day, last_day=last_day, zone=zone, formats=formats)
    job = submit(session, work, subject=period.subject, by=by)
    flush_jobs(session)
    report = session.get(Report, job.id) if job.is_duplicate else None
    if report is None:
        report = Report(id=job.id, first_day=first_day, last_day=last_day, zone=zone)
        report.formats = list(in_order(formats))
        session.add(report)
        session.flush()
    return report, job
