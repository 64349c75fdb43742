"""Reports in requests and responses of the API."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from outbox import SubmittedJob
from outbox.http.routes.jobs.schemas import JobSummary
from outbox.operations.jobs import JobRecord
from service.reports.formats import FORMATS, Format, in_order
from service.reports.kinds import Day, Zone
from service.reports.links import LONGEST_LIFETIME
from service.reports.models import Report
from service.reports.period import EARLIEST, LATEST, Period

State = Literal["building", "ready", "expired", "failed", "cancelled"]


class NewReport(BaseModel):
    """The report to build: of a month, or from `first_day` to the end of `last_day`.

    Days are those of the time zone `zone`, by default the service's own. A period may have up to
    366 days, and may be one that has not ended.
    """

    model_config = ConfigDict(extra="forbid")

    month: Annotated[
        str | None,
        Field(pattern=r"^2[0-9]{3}-(0[1-9]|1[0-2])$", examples=["2026-11"]),
    ] = None
    first_day: Day | None = None
    last_day: Day | None = None
    zone: Zone | None = None
    formats: Annotated[list[Format], Field(min_length=1, max_length=len(FORMATS))] = list(FORMATS)

    @model_validator(mode="after")
    def _check(self) -> "NewReport":
        days = (self.first_day, self.last_day)
        if (self.month is None) == (days == (None, None)) or (self.month is None and None in days):
            raise ValueError("give either month, or first_day and last_day")
        self.period("UTC")
        return self

    def period(self, zone: str) -> Period:
        """The days that are asked for, in this zone unless another is asked for."""
        zone = self.zone or zone
        if self.month:
            year, month = self.month.split("-")
            return Period.month(int(year), int(month), zone)
        return Period(self.first_day or EARLIEST, self.last_day or LATEST, zone)

    @property
    def wanted(self) -> tuple[Format, ...]:
        """Each format once, in order."""
        return in_order(self.formats)


class Total(BaseModel):
    """What was invoiced in one currency. Nothing is ever added over currencies."""

    currency: str
    invoices: int
    lines: int
    customers: int
    amount: Decimal


class ReportFileShown(BaseModel):
    """A file of the report."""

    format: Format
    bytes: int


class ReportSummary(BaseModel):
    """A report in brief. `built_at` is there once its files are, `expires_at` is when they go."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    first_day: date
    last_day: date
    zone: str
    formats: list[Format]
    requested_at: datetime
    built_at: datetime | None
    expires_at: datetime | None


class ReportShown(ReportSummary):
    """A report with its job, while that is on record: `job.links.self` shows how far it is.

    All totals and files show the invoices at one moment, a little before `built_at`. They are null
    until the report is ready. `links.links` is where a link to download a file is made.
    """

    state: State
    totals: list[Total] | None
    files: list[ReportFileShown] | None
    job: JobSummary | None
    links: dict[str, str]

    @classmethod
    def of(
        cls, report: Report, job: JobRecord | SubmittedJob | None, *, has_expired: bool = False
    ) -> "ReportShown":
        """The report with its job."""
        path = report_path(report.id)
        summary = JobSummary.brief(job) if job else None
        return cls(
            **ReportSummary.model_validate(report).model_dump(),
            state=_state(report, summary, has_expired=has_expired),
            totals=_totals(report),
            files=_files(report),
            job=summary,
            links={"self": path, "links": f"{path}/links"},
        )


class ReportPage(BaseModel):
    """A page of reports, newest first."""

    reports: list[ReportSummary]
    next_cursor: str | None


class NewLink(BaseModel):
    """A link to make: to which file, and for how many seconds it shall work."""

    model_config = ConfigDict(extra="forbid")

    format: Format
    lifetime_seconds: Annotated[int, Field(ge=1, le=LONGEST_LIFETIME // timedelta(seconds=1))] = 900


class LinkMade(BaseModel):
    """A path that answers with the file, to whoever has it, until `expires_at`."""

    url: str
    expires_at: datetime


def report_path(report_id: UUID) -> str:
    """The path of the report's URL."""
    return f"/v1/reports/{report_id}"


def _totals(report: Report) -> list[Total] | None:
    if report.totals is None:
        return None
    return [Total.model_validate(each) for each in report.totals]


def _files(report: Report) -> list[ReportFileShown] | None:
    if report.files is None:
        return None
    return [
        ReportFileShown(format=each, bytes=report.files[each]["bytes"])
        for each in FORMATS
        if each in report.files
    ]


def _state(report: Report, job: JobSummary | None, *, has_expired: bool) -> State:
    if report.built_at:
        return "expired" if has_expired else "ready"
    if job is None or job.state == "cancelled":  # cancelled jobs are deleted after a while
        return "cancelled"
    return "failed" if job.state == "dead" else "building"
