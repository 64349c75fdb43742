"""The PDF of a report, and its charts."""

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from actors.drawing import bars
from actors.drawing.bars import Bar
from actors.drawing.report import draw
from actors.reporting.figures import Customer, Day, Total
from service.reports.period import Period
from tests.support.pdf import boxes, pages, text

NOVEMBER = Period.month(2026, 11, "Europe/Berlin")
REQUESTED_AT = datetime(2026, 12, 1, 5, tzinfo=UTC)
HUGE = Decimal("-123456789012345678901234567.89")


def report(*currencies: str, customer: str = "Ada", amount: Decimal = Decimal("1234.50")) -> bytes:
    """A report with one customer for each currency."""
    return draw(
        NOVEMBER,
        [Total(each, 1, 2, 1, amount) for each in currencies],
        [Day(each, NOVEMBER.first_day, amount) for each in currencies],
        [Customer(each, customer, 1, amount) for each in currencies],
        REQUESTED_AT,
    )


def test_it_says_what_was_invoiced_in_each_currency_and_to_whom() -> None:
    said = text(report("EUR", "USD", customer="Łukasz Đỗ · Ελένη · Юлия"))
    for part in ("November 2026", "Europe/Berlin", "EUR", "USD", "1,234.50", "most on 1 November"):
        assert part in said
    assert said.count("Łukasz Đỗ · Ελένη · Юлия") == 2


def test_a_period_without_invoices_is_a_page_that_says_so() -> None:
    said = text(report())
    assert "Nothing was invoiced" in said
    assert "Totals" not in said


def test_many_currencies_go_on_on_further_pages() -> None:
    currencies = [f"C{chr(65 + n // 26)}{chr(65 + n % 26)}" for n in range(70)]
    pdf = report(*currencies)
    said = text(pdf)
    assert pages(pdf) > 5
    assert said.count("1,234.50") >= 70
    assert [each for each in currencies if each not in said] == []
    assert said.count("most on") == 60


@pytest.mark.parametrize(
    "customer", ["山田太郎", "محمد", "🧾", "a\nb", "", "\x07", "**b**", "สมชาย ใจดี"]
)
def test_every_name_is_drawn(customer: str) -> None:
    pdf = report("EUR", customer=customer)
    assert boxes(pdf) == 0
    assert {*customer} - {"\n", "\x07"} <= {*text(pdf)}


def test_of_a_name_that_is_too_long_the_beginning_is_drawn() -> None:
    pdf = report("EUR", customer="x" * 2000)
    assert text(pdf).count("x") == 79
    assert "…" in text(pdf)
    assert pages(pdf) == 1


def test_a_long_number_is_written_whole() -> None:
    said = text(report("EUR", amount=HUGE))
    assert said.count(f"{HUGE:,.2f}") >= 3


def test_the_same_figures_give_the_same_bytes_in_another_process() -> None:
    program = (
        "import sys; from tests.unit import test_report_pdf as t;"
        "sys.stdout.buffer.write(t.report('EUR', 'USD'))"
    )
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert other.stdout == report("EUR", "USD")


def test_a_long_period_is_drawn_by_weeks_from_monday_on() -> None:
    year = Period(date(2026, 1, 1), date(2026, 12, 31))
    drawn = bars.bars(year, dict.fromkeys(year.days, Decimal(1)))
    assert [bar.first_day for bar in drawn[:3]] == [
        date(2026, 1, 1),
        date(2026, 1, 5),
        date(2026, 1, 12),
    ]
    assert sum(bar.amount for bar in drawn) == 365
    assert "in the week from" in bars.peak(drawn)
    assert len(bars.bars(NOVEMBER, {})) == 30


@pytest.mark.parametrize(
    ("amounts", "low", "high", "step"),
    [
        ([0], 0, 1, 1),
        ([4994], 0, 6000, 2000),
        ([-3, 5], -4, 6, 2),
        ([-100], -100, 0, 25),
        ([1e20], 0, 1e20, 2.5e19),
        ([0.01], 0, 0.01, 0.0025),
    ],
)
def test_the_scale_is_round_and_holds_all_bars(
    amounts: list[float], low: float, high: float, step: float
) -> None:
    day = timedelta(days=1)
    drawn = [
        Bar(NOVEMBER.first_day + n * day, Decimal(str(each))) for n, each in enumerate(amounts)
    ]
    scale = bars.scale(drawn)
    assert (scale.low, scale.high, scale.step) == pytest.approx((low, high, step))
    assert [*scale.lines()][-1] == pytest.approx(high)
