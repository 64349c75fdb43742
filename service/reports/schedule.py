"""The report of each month, made on the first day of the next."""

import os
from datetime import timedelta

from outbox import Schedule
from service.reports.kinds import REPORT_LAST_MONTH
from service.reports.period import check_zone


def _zone() -> str:
    """`Settings.reports_zone`, which cannot be read yet: kinds and schedules are made at import.

    A wrong one is ignored here. Each process refuses it when it reads its settings.
    """
    try:
        return check_zone(os.environ.get("DULY_REPORTS_ZONE", "UTC"))
    except ValueError:
        return "UTC"


MONTHLY = Schedule(
    "reports.monthly",
    "0 6 1 * *",
    REPORT_LAST_MONTH(),
    zone=_zone(),
    catch_up=timedelta(days=27),
)
