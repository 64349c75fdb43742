import io
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest
from pypdf import PdfReader

from actors.drawing.invoice import draw
from service.invoices.models import Invoice, InvoiceLine

NUMBER = UUID("01890000-0000-7000-8000-000000000001")
CREATED_AT = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)


def test_the_pdf_says_what_the_invoice_says() -> None:
    text = _text(draw(_invoice("Ada Lovelace")))
    for part in (
        "Ada Lovelace",
        str(NUMBER),
        "2026-03-01",
        "Notebook 0",
        "3",
        "1,250.50",
        "3,751.50",
        "EUR",
    ):
        assert part in text


def test_letters_of_other_alphabets_are_printed() -> None:
    text = _text(draw(_invoice("Łukasz Đỗ · Ελένη · Юлия · Müller & Søn €")))
    assert "Łukasz Đỗ · Ελένη · Юлия · Müller & Søn €" in text


@pytest.mark.parametrize(
    "customer", ["山田太郎", "محمد", "🧾 paid", "a\nb", "x" * 2000, "**b** <i>"]
)
def test_text_that_the_font_lacks_or_that_is_odd_does_no_harm(customer: str) -> None:
    assert "3,751.50" in _text(draw(_invoice(customer)))


@pytest.mark.parametrize(
    "description", ["a\n" * 250, "Ѹ" * 500, "W " * 250, "山" * 500, "\u00ad" * 500]
)
def test_every_description_that_could_be_posted_fits_on_a_page(description: str) -> None:
    invoice = _invoice("Ada", lines=2)
    invoice.lines[0].description = description

    assert "Notebook 1" in _text(draw(invoice))


def test_a_long_invoice_goes_on_on_further_pages() -> None:
    pdf = draw(_invoice("Ada", lines=100))
    assert len(PdfReader(io.BytesIO(pdf)).pages) > 1
    text = _text(pdf)
    assert "Notebook 99" in text
    assert text.count("Description") > 1


def test_the_same_invoice_gives_the_same_bytes_in_another_process_and_time_zone() -> None:
    program = "import sys; from tests.unit import test_pdf as t; sys.stdout.buffer.write(t.tokyo())"
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert other.stdout == draw(_invoice("Ada"))


def tokyo() -> bytes:
    """The invoice as a session in another time zone reads it."""
    return draw(_invoice("Ada", created_at=CREATED_AT.astimezone(timezone(timedelta(hours=9)))))


def _invoice(customer: str, lines: int = 1, created_at: datetime = CREATED_AT) -> Invoice:
    return Invoice(
        id=NUMBER,
        customer=customer,
        email="ada@example.com",
        currency="EUR",
        created_at=created_at,
        lines=[
            InvoiceLine(
                position=n,
                description=f"Notebook {n}",
                quantity=3,
                unit_price=Decimal("1250.50"),
            )
            for n in range(lines)
        ],
    )


def _text(pdf: bytes) -> str:
    return "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages)
