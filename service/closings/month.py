"""Months as people write them: `2026-11`, in UTC."""

import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, Field

from service.reports.period import Period

FORM = re.compile(r"20[0-9]{2}-(0[1-9]|1[0-2])")


def _has_begun(month: str) -> str:
    if begin_of(month) > datetime.now(UTC):
        raise ValueError("must have begun")
    return month


Month = Annotated[str, Field(pattern=f"^{FORM.pattern}$"), AfterValidator(_has_begun)]
"""A month that has begun."""


def begin_of(month: str) -> datetime:
    """Its first moment."""
    return datetime.strptime(f"{month}-01+0000", "%Y-%m-%d%z")


def end_of(month: str) -> datetime:
    """The first moment of the next month."""
    begin = begin_of(month)
    return begin.replace(year=begin.year + begin.month // 12, month=begin.month % 12 + 1)


def period_of(month: str) -> Period:
    """Its days, for a report."""
    begin = begin_of(month)
    return Period.month(begin.year, begin.month)
