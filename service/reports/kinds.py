"""The jobs of reports."""

from datetime import date, timedelta
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from outbox import Kind, Retry, Unique, Until
from service.payload import Payload
from service.reports.formats import Format, in_order
from service.reports.period import EARLIEST, LATEST, Period, check_zone

Day = Annotated[date, Field(ge=EARLIEST, le=LATEST)]
Zone = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(check_zone)]
Formats = Annotated[tuple[Format, ...], Field(min_length=1), AfterValidator(in_order)]


class BuildReport(Payload):
    """Build the files of a report. The job's id is the report's."""

    first_day: Day
    last_day: Day
    zone: Zone
    formats: Formats

    @property
    def period(self) -> Period:
        """The days that it is about."""
        return Period(self.first_day, self.last_day, self.zone)

    @model_validator(mode="after")
    def _check(self) -> "BuildReport":
        _ = self.period  # which raises ValueError
        return self


class ReportLastMonth(Payload):
    """Ask for a report of the month before the schedule's tick."""


class ReportGone(Exception):
    """There is no such report: the job was not submitted by a request for one."""


BUILD_REPORT = Kind(
    "report.build",
    BuildReport,
    queue="reports",
    time_limit=timedelta(minutes=30),
    retry=Retry(attempts=5, never=(ReportGone,)),
    unique=Unique("first_day", "last_day", "zone", "formats", until=Until.ENDED),
    owner="finance",
    idempotency="files of its own names; one transaction makes them the report's",
)
REPORT_LAST_MONTH = Kind(
    "report.last_month",
    ReportLastMonth,
    queue="reports",
    time_limit=timedelta(minutes=1),
    owner="finance",
    idempotency="one transaction, and its report.build is unique",
)
