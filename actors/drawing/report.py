"""Draws a report of what was invoiced as a PDF."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from actors.drawing import bars
from actors.drawing.money import written as money
from actors.drawing.texts import han_font, shortened, text
from actors.drawing.typesetting import typeset
from actors.reporting.figures import MOST_CUSTOMERS, Customer, Day, Total
from service.reports.period import Period, written

MOST_DRAWN = 60
"""How many currencies have a chart: those with the most invoices."""
FEW_CURRENCIES, FEW_CUSTOMERS = 6, 5
"""Of more currencies, fewer customers are listed."""
LONGEST_NAME = 80
"""Characters of a customer's name that are drawn."""


def draw(
    period: Period,
    totals: Sequence[Total],
    days: Iterable[Day],
    customers: Iterable[Customer],
    requested_at: datetime,
) -> bytes:
    """The totals, a chart of each currency and its largest customers, as A4 pages.

    The same figures give the same bytes. Charts and customers are those of the `MOST_DRAWN`
    currencies with the most invoices; the totals are of all.
    """
    drawn, found = _most_used(totals), _by_currency(customers, len(totals))
    data = {
        "han": han_font(each.customer for listed in found.values() for each in listed),
        "period": str(period),
        "about": _about(period, totals),
        "totals": [_total(each) for each in totals],
        "unit": "week" if bars.is_weekly(bars.bars(period, {})) else "day",
        "charts": _charts(period, drawn, days),
        "customers": [_largest(total, found[total.currency]) for total in drawn],
    }
    return typeset("report", data, requested_at)


def _most_used(totals: Sequence[Total]) -> list[Total]:
    """The currencies that are drawn, by their code."""
    return sorted(sorted(totals, key=lambda each: -each.invoices)[:MOST_DRAWN])


def _by_currency(customers: Iterable[Customer], currencies: int) -> dict[str, list[Customer]]:
    """Those that are listed. Fewer of each currency, if there are many."""
    found: dict[str, list[Customer]] = defaultdict(list)
    most = FEW_CUSTOMERS if currencies > FEW_CURRENCIES else MOST_CUSTOMERS
    for customer in customers:
        if len(found[customer.currency]) < most:
            found[customer.currency].append(customer)
    return found


def _about(period: Period, totals: Sequence[Total]) -> str:
    days = f"{written(period.first_day)} to {written(period.last_day)}"
    about = f"{days}, as days begin in the time zone {period.zone}."
    return f"{about} Currencies are not added up." if totals else about


def _total(total: Total) -> list[str]:
    counts = (total.invoices, total.lines, total.customers)
    return [total.currency, *(f"{each:,}" for each in counts), money(total.amount)]


def _charts(period: Period, totals: Sequence[Total], days: Iterable[Day]) -> list[dict[str, Any]]:
    amounts: dict[str, dict[date, Decimal]] = defaultdict(dict)
    for day in days:
        amounts[day.currency][day.day] = day.amount
    return [_chart(total, bars.bars(period, amounts[total.currency])) for total in totals]


def _chart(total: Total, drawn: Sequence[bars.Bar]) -> dict[str, Any]:
    return {
        "currency": total.currency,
        "amount": money(total.amount),
        "peak": bars.peak(drawn),
        **bars.chart(drawn),
    }


def _largest(total: Total, listed: Sequence[Customer]) -> dict[str, Any]:
    most = max((each.amount for each in listed), default=Decimal())
    return {
        "currency": total.currency,
        "rows": [_customer(each, most) for each in listed],
        "others": f"{total.customers - len(listed):,}" if total.customers > len(listed) else None,
    }


def _customer(customer: Customer, most: Decimal) -> dict[str, Any]:
    return {
        "name": text(shortened(customer.customer, LONGEST_NAME)),
        "share": float(customer.amount / most) if customer.amount > 0 else 0,
        "invoices": f"{customer.invoices:,}",
        "amount": money(customer.amount),
    }
