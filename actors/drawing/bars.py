"""What a chart of bars over days or weeks shows. Where it is on the page, the template knows."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any

from actors.drawing.money import short
from actors.drawing.money import written as money
from service.reports.period import MONTHS, Period, written

MOST_DAYS_DRAWN = 62
"""A longer period is drawn by weeks."""
WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Bar:
    """What was invoiced from a day on, until the next bar."""

    first_day: date
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Scale:
    """The values on the left: from the lowest to the highest line, with equal steps."""

    low: float
    high: float
    step: float

    def lines(self) -> Iterator[float]:
        """The value of each line."""
        return (self.low + n * self.step for n in range(self._steps + 1))

    def place(self, value: float) -> float:
        """How far below the top the value is, as a share of the whole height."""
        return (self.high - value) / (self.high - self.low)

    @property
    def _steps(self) -> int:
        return round((self.high - self.low) / self.step)


def bars(period: Period, amounts: dict[date, Decimal]) -> list[Bar]:
    """A bar for each day of the period; of a long one for each week, from Monday on."""
    if len(period.days) <= MOST_DAYS_DRAWN:
        return [Bar(day, amounts.get(day, Decimal())) for day in period.days]
    weeks = groupby(period.days, key=lambda day: day.isocalendar()[:2])
    of_week = ([*days] for _, days in weeks)
    return [
        Bar(days[0], sum((amounts.get(day, Decimal()) for day in days), Decimal()))
        for days in of_week
    ]


def is_weekly(drawn: Sequence[Bar]) -> bool:
    """Whether there is a bar for each week."""
    return len(drawn) > 1 and drawn[-1].first_day - drawn[-2].first_day > timedelta(days=1)


def scale(drawn: Sequence[Bar]) -> Scale:
    """A scale of round values that holds all bars, and zero."""
    lowest = min(0.0, *(float(bar.amount) for bar in drawn), 0.0)
    highest = max(0.0, *(float(bar.amount) for bar in drawn), 0.0)
    step = _round_up((highest - lowest or 4.0) / 4)
    low, high = math.floor(lowest / step) * step, math.ceil(highest / step) * step
    return Scale(low, high if high > low else step, step)


def chart(drawn: Sequence[Bar]) -> dict[str, Any]:
    """What the template draws: lines, bars and dates, by their place in the plot, from 0 to 1."""
    its = scale(drawn)
    return {
        "lines": [_line(value, its) for value in its.lines()],
        "bars": [_bar(bar, its) for bar in drawn],
        "dates": [{"bar": place, "label": label} for place, label in _labels(drawn)],
    }


def peak(drawn: Sequence[Bar]) -> str:
    """The highest bar in words."""
    highest = max(drawn, key=lambda bar: bar.amount)
    since = "in the week from" if is_weekly(drawn) else "on"
    return f"most {since} {written(highest.first_day)}: {money(highest.amount)}"


def _round_up(value: float) -> float:
    """The next of 1, 2, 2.5, 5, 10, 20, ..."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(each * power for each in (1, 2, 2.5, 5, 10) if each * power >= value * 0.999)


def _line(value: float, its: Scale) -> dict[str, Any]:
    is_zero = abs(value) < its.step / 2
    return {
        "place": its.place(value),
        "label": short(0.0 if is_zero else value),
        "is_zero": is_zero,
    }


def _bar(bar: Bar, its: Scale) -> dict[str, Any]:
    zero, end = its.place(0.0), its.place(float(bar.amount))
    return {
        "place": min(zero, end),
        "height": abs(zero - end),
        "is_positive": bar.amount > 0,
        "is_nothing": not bar.amount,
    }


def _labels(drawn: Sequence[Bar]) -> Iterator[tuple[int, str]]:
    """What is written below which bars: the months of weeks, or every seventh day."""
    month = None
    for place, bar in enumerate(drawn):
        day, name = bar.first_day, MONTHS[bar.first_day.month - 1][:3]
        if is_weekly(drawn):
            if day.month != month and (month or day.day <= WEEK.days):
                yield place, f"{name} {day:%y}" if day.month == 1 else name
        elif place % WEEK.days == 0:
            yield place, f"{day.day} {name}"
        month = day.month
