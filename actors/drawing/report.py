"""Draws a report of what was invoiced as a PDF."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal

from actors.drawing import bars
from actors.drawing.bars import Box
from actors.drawing.paper import (
    GRID,
    INK,
    MARGIN,
    MUTED,
    POSITIVE,
    Paper,
    fitted,
    ink,
    write,
    write_number,
)
from actors.reporting.figures import MOST_CUSTOMERS, Customer, Day, Total
from service.reports.period import Period, written

MOST_DRAWN = 60
"""How many currencies have a chart: those with the most invoices."""
FEW_CURRENCIES, FEW_CUSTOMERS = 6, 5
"""Of more currencies, fewer customers are listed."""
GAP = 10.0
ROW = 6.4
HEADINGS = 5.0
COLUMNS = {"Currency": 30.0, "Invoices": 28.0, "Lines": 28.0, "Customers": 28.0, "Total": 60.0}
"""Headings and widths of the totals, in millimetres."""
CUSTOMER = {"Customer": 72.0, "": 36.0, "Invoices": 16.0, "Total": 50.0}
"""The second column has a bar."""


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
    page = Paper(f"Invoiced, {period}", requested_at)
    _write_head(page, period, totals)
    if totals:
        _write_totals(page, totals)
        drawn = _most_used(totals)
        _draw_charts(page, period, drawn, days)
        _write_customers(page, drawn, customers)
    return bytes(page.output())


def _most_used(totals: Sequence[Total]) -> list[Total]:
    """The currencies that are drawn, by their code."""
    return sorted(sorted(totals, key=lambda each: -each.invoices)[:MOST_DRAWN])


def _write_head(page: Paper, period: Period, totals: Sequence[Total]) -> None:
    ink(page, MUTED, 9)
    page.cell(0, 5, "What was invoiced", new_x="LMARGIN", new_y="NEXT")
    ink(page, INK, 22, bold=True)
    page.multi_cell(0, 11, str(period), new_x="LMARGIN", new_y="NEXT")
    ink(page, MUTED, 9)
    days = f"{written(period.first_day)} to {written(period.last_day)}"
    about = f"{days}, as days begin in the time zone {period.zone}."
    text = f"{about} Currencies are not added up." if totals else f"{about}"
    page.multi_cell(0, 5, text, new_x="LMARGIN", new_y="NEXT")
    page.ln(5)
    if not totals:
        ink(page, INK, 12)
        page.multi_cell(0, 7, "Nothing was invoiced in these days.", new_x="LMARGIN", new_y="NEXT")


def _write_totals(page: Paper, totals: Sequence[Total]) -> None:
    _heading(page, "Totals", room=3 * ROW)
    _write_headings(page, COLUMNS)
    for total in totals:
        if page.will_page_break(ROW):
            page.add_page()
            _write_headings(page, COLUMNS)
        counts = (total.invoices, total.lines, total.customers)
        _write_row(
            page, COLUMNS, [total.currency, *(f"{each:,}" for each in counts), _money(total.amount)]
        )
    page.ln(GAP)


def _draw_charts(page: Paper, period: Period, totals: Sequence[Total], days: Iterable[Day]) -> None:
    amounts: dict[str, dict[date, Decimal]] = defaultdict(dict)
    for day in days:
        amounts[day.currency][day.day] = day.amount
    columns = 1 if len(totals) == 1 else 2
    width, height = (page.epw - GAP * (columns - 1)) / columns, 62.0 if columns == 1 else 46.0
    each = bars.bars(period, {})
    _heading(page, "By week" if bars.is_weekly(each) else "By day", room=height + GAP)
    for place, total in enumerate(totals):
        if place % columns == 0:
            page.room_for(height)
        box = Box(MARGIN + place % columns * (width + GAP), page.get_y(), width, height)
        _draw_chart(page, box, total, bars.bars(period, amounts[total.currency]))
        is_last = place % columns == columns - 1 or place == len(totals) - 1
        page.set_xy(MARGIN, box.y + (height + GAP * 0.7 if is_last else 0))
    page.ln(GAP * 0.3)


def _draw_chart(page: Paper, box: Box, total: Total, drawn: Sequence[bars.Bar]) -> None:
    ink(page, INK, 10, bold=True)
    write(page, total.currency, box.x, box.y, 20, 5)
    write_number(page, _money(total.amount), box.x + 20, box.y, box.width - 20, 5)
    ink(page, MUTED, 7)
    write(page, bars.peak(drawn), box.x, box.y + 5, box.width, 4)
    bars.draw(page, Box(box.x, box.y + 12, box.width, box.height - 12), drawn)


def _write_customers(page: Paper, totals: Sequence[Total], customers: Iterable[Customer]) -> None:
    found: dict[str, list[Customer]] = defaultdict(list)
    most = FEW_CUSTOMERS if len(totals) > FEW_CURRENCIES else MOST_CUSTOMERS
    for customer in customers:
        if len(found[customer.currency]) < most:
            found[customer.currency].append(customer)
    _heading(page, "Largest customers", room=_height(found[totals[0].currency]))
    for total in totals:
        page.room_for(_height(found[total.currency]))
        _write_customers_of(page, total, found[total.currency])


def _height(rows: Sequence[Customer]) -> float:
    """What a table of customers takes, with the lines above and below it. It is kept together."""
    return (len(rows) + 2) * ROW + HEADINGS


def _write_customers_of(page: Paper, total: Total, rows: Sequence[Customer]) -> None:
    ink(page, INK, 10, bold=True)
    page.cell(0, ROW, fitted(page, total.currency, page.epw), new_x="LMARGIN", new_y="NEXT")
    _write_headings(page, CUSTOMER)
    most = max((row.amount for row in rows), default=Decimal())
    for row in rows:
        y = page.get_y()
        _write_row(page, CUSTOMER, [row.customer, "", f"{row.invoices:,}", _money(row.amount)])
        if row.amount > 0:
            page.set_fill_color(*POSITIVE)
            room = CUSTOMER[""] - 4
            x = MARGIN + CUSTOMER["Customer"] + 2
            page.rect(x, y + ROW / 2 - 1, max(room * float(row.amount / most), 0.2), 2, style="F")
    if (others := total.customers - len(rows)) > 0:
        ink(page, MUTED, 8)
        page.cell(0, ROW, f"and {others:,} more", new_x="LMARGIN", new_y="NEXT")
    page.ln(4)


def _heading(page: Paper, text: str, room: float) -> None:
    """Begin a section, on a page with room for its first lines."""
    page.room_for(room + 10)
    ink(page, INK, 13, bold=True)
    page.cell(0, 8, text, new_x="LMARGIN", new_y="NEXT")
    page.ln(1.5)


def _write_headings(page: Paper, columns: dict[str, float]) -> None:
    ink(page, MUTED, 7.5)
    _write_cells(page, columns, [*columns], HEADINGS)
    page.set_draw_color(*MUTED)
    page.set_line_width(0.2)
    page.line(MARGIN, page.get_y(), MARGIN + page.epw, page.get_y())


def _write_row(page: Paper, columns: dict[str, float], texts: Sequence[str]) -> None:
    ink(page, INK, 9)
    _write_cells(page, columns, texts, ROW)
    page.set_draw_color(*GRID)
    page.set_line_width(0.15)
    page.line(MARGIN, page.get_y(), MARGIN + page.epw, page.get_y())


def _write_cells(
    page: Paper, columns: dict[str, float], texts: Sequence[str], height: float
) -> None:
    """One line of a table: the first text at the left, the others at the right."""
    x, y = MARGIN, page.get_y()
    for place, (text, width) in enumerate(zip(texts, columns.values(), strict=True)):
        if place == 0:
            write(page, text, x, y, width, height)
        else:
            write_number(page, text, x + 2, y, width - 2, height)
        x += width
    page.set_xy(MARGIN, y + height)


def _money(amount: Decimal) -> str:
    return f"{amount:,.2f}"
