"""Renders an invoice as a PDF."""

from datetime import UTC
from decimal import Decimal

from fpdf import FPDF
from fpdf.enums import TableBordersLayout
from ttf_opensans import opensans

from service.invoices.models import Invoice

FONT = "Open Sans"
"""Covers Latin, Greek and Cyrillic; a character of another script is drawn as an empty box."""
COLUMNS = {"Description": 90, "Quantity": 25, "Price": 35, "Amount": 40}
"""Headings and widths in millimetres."""


def draw(invoice: Invoice) -> bytes:
    """The invoice and its lines, as a PDF of A4 pages.

    The same invoice gives the same bytes, so a second attempt stores what the first stored.
    """
    page = _blank(invoice)
    _write_head(page, invoice)
    _write_lines(page, invoice)
    return bytes(page.output())


def _blank(invoice: Invoice) -> FPDF:
    page = FPDF(format="A4")
    page.add_font(FONT, "", opensans(400).path)
    page.add_font(FONT, "B", opensans(700).path)
    page.set_creation_date(invoice.created_at.astimezone(UTC))
    page.set_title(f"Invoice {invoice.id}")
    page.add_page()
    return page


def _write_head(page: FPDF, invoice: Invoice) -> None:
    page.set_font(FONT, "B", 20)
    page.multi_cell(0, text="Invoice", new_x="LMARGIN", new_y="NEXT")
    page.set_font(FONT, "", 10)
    day = invoice.created_at.astimezone(UTC).date().isoformat()
    for text in (f"Number: {invoice.id}", f"Date: {day}", f"Customer: {invoice.customer}"):
        page.multi_cell(0, text=text, new_x="LMARGIN", new_y="NEXT")
    page.ln(8)


def _write_lines(page: FPDF, invoice: Invoice) -> None:
    rows = [
        (
            _one_line(line.description),
            f"{line.quantity:,}",
            _money(line.unit_price),
            _money(line.amount),
        )
        for line in invoice.lines
    ]
    total = ("Total", "", invoice.currency, _money(invoice.total))
    with page.table(
        [tuple(COLUMNS), *rows, total],
        col_widths=tuple(COLUMNS.values()),
        text_align=("LEFT", "RIGHT", "RIGHT", "RIGHT"),
        borders_layout=TableBordersLayout.HORIZONTAL_LINES,
        padding=1,
    ):
        pass  # the rows are given above; leaving the block draws them


def _one_line(text: str) -> str:
    """Join the lines, as a row must fit on a page. Only older invoices have line breaks."""
    return " ".join(text.splitlines())


def _money(amount: Decimal) -> str:
    return f"{amount:,.2f}"
