"""Draws a chart of bars over days or weeks."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import groupby

from fpdf import FPDF

from actors.drawing.paper import GRID, MUTED, NEGATIVE, POSITIVE, ink, short, write
from service.reports.period import MONTHS, Period, written

MOST_DAYS_DRAWN = 62
"""A longer period is drawn by weeks."""
WEEK = timedelta(days=7)
AXIS = 13.0
"""Millimetres for the scale on the left."""
FOOT = 5.0
"""Millimetres for the dates below."""
WIDEST_BAR = 7.0
LABEL_WIDTH = 9.0
"""Millimetres that a date below the bars needs."""


@dataclass(frozen=True, slots=True)
class Bar:
    """What was invoiced from a day on, until the next bar."""

    first_day: date
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Box:
    """A part of a page, in millimetres."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Scale:
    """The values on the left: from the lowest to the highest line, with equal steps."""

    low: float
    high: float
    step: float

    def lines(self) -> Iterator[float]:
        """The value of each line."""
        return (self.low + n * self.step for n in range(self._steps + 1))

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


def draw(page: FPDF, box: Box, drawn: Sequence[Bar]) -> None:
    """Draw the bars with their scale and dates."""
    plot = Box(box.x + AXIS, box.y, box.width - AXIS, box.height - FOOT)
    its_scale = scale(drawn)
    _draw_lines(page, plot, its_scale)
    _draw_bars(page, plot, its_scale, drawn)
    _draw_dates(page, plot, drawn)


def _round_up(value: float) -> float:
    """The next of 1, 2, 2.5, 5, 10, 20, ..."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(each * power for each in (1, 2, 2.5, 5, 10) if each * power >= value * 0.999)


def _height_of(value: float, plot: Box, its: Scale) -> float:
    return plot.y + plot.height * (its.high - value) / (its.high - its.low)


def _draw_lines(page: FPDF, plot: Box, its: Scale) -> None:
    for value in its.lines():
        y, is_zero = _height_of(value, plot, its), abs(value) < its.step / 2
        page.set_draw_color(*(MUTED if is_zero else GRID))
        page.set_line_width(0.25 if is_zero else 0.15)
        page.line(plot.x, y, plot.x + plot.width, y)
        ink(page, MUTED, 6.5)
        write(page, short(0.0 if is_zero else value), plot.x - AXIS, y - 1.75, AXIS - 1.5, 3.5, "R")


def _draw_bars(page: FPDF, plot: Box, its: Scale, drawn: Sequence[Bar]) -> None:
    room = plot.width / len(drawn)
    width = min(room * 0.72, WIDEST_BAR)
    zero = _height_of(0.0, plot, its)
    for place, bar in enumerate(drawn):
        if bar.amount:
            top = _height_of(float(bar.amount), plot, its)
            page.set_fill_color(*(POSITIVE if bar.amount > 0 else NEGATIVE))
            x = plot.x + place * room + (room - width) / 2
            page.rect(x, min(top, zero), width, max(abs(zero - top), 0.2), style="F")


def _draw_dates(page: FPDF, plot: Box, drawn: Sequence[Bar]) -> None:
    room = plot.width / len(drawn)
    ink(page, MUTED, 6.5)
    free_from = plot.x - 1
    for place, text in _labels(drawn):
        x = plot.x + (place + 0.5) * room
        if x - LABEL_WIDTH / 2 < free_from - LABEL_WIDTH / 2 or x > plot.x + plot.width:
            continue
        write(page, text, x - LABEL_WIDTH / 2, plot.y + plot.height + 1, LABEL_WIDTH, 3.5, "C")
        free_from = x + LABEL_WIDTH


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


def peak(drawn: Sequence[Bar]) -> str:
    """The highest bar in words."""
    highest = max(drawn, key=lambda bar: bar.amount)
    since = "in the week from" if is_weekly(drawn) else "on"
    return f"most {since} {written(highest.first_day)}: {highest.amount:,.2f}"
