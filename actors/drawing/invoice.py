"""Draws an invoice as a PDF."""

from datetime import UTC
from typing import Any

from actors.drawing.money import written
from actors.drawing.texts import han_font, text
from actors.drawing.typesetting import typeset
from service.invoices.models import Invoice, InvoiceLine


def draw(invoice: Invoice) -> bytes:
    """The invoice and its lines, as a PDF of A4 pages.

    The same invoice gives the same bytes, so a second attempt stores what the first stored.
    """
    said = [invoice.customer, *(line.description for line in invoice.lines)]
    data = {
        "han": han_font(said),
        "number": str(invoice.id),
        "date": invoice.created_at.astimezone(UTC).date().isoformat(),
        "customer": text(invoice.customer),
        "currency": invoice.currency,
        "total": written(invoice.total),
        "lines": [_line(line) for line in invoice.lines],
    }
    return typeset("invoice", data, invoice.created_at)


def _line(line: InvoiceLine) -> dict[str, Any]:
    return {
        "description": text(line.description),
        "quantity": f"{line.quantity:,}",
        "price": written(line.unit_price),
        "amount": written(line.amount),
    }
