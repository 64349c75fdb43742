"""The PDF of an invoice, in any script."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest

from actors.drawing.invoice import draw
from service.invoices.models import Invoice, InvoiceLine
from tests.support.pdf import boxes, fonts, pages, text

NUMBER = UUID("01890000-0000-7000-8000-000000000001")
CREATED_AT = datetime(2026, 3, 1, 23, 30, 1, 123456, tzinfo=UTC)


def test_the_pdf_says_what_the_invoice_says() -> None:
    said = text(draw(_invoice("Ada Lovelace")))
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
        assert part in said


@pytest.mark.parametrize(
    ("customer", "font"),
    [
        ("Łukasz Đỗ · Ελένη · Юлия · Müller & Søn €", "NotoSans-Regular"),
        ("山田太郎 ひらがな", "NotoSansCJKjp-Thin"),
        ("王小明", "NotoSansCJKsc-Thin"),
        ("김하늘", "NotoSansCJKkr-Thin"),
        ("محمد علي", "NotoSansArabic-Regular"),
        ("\u05e0\u05d5\u05e2\u05d4", "NotoSansHebrew-Light"),
        ("प्रिया शर्मा", "NotoSansDevanagari-Regular"),
        ("สมชาย ใจดี ผู้ใหญ่", "NotoSansThai-Regular"),
        ("🧾 👨\u200d👩\u200d👧 🇩🇪", "NotoEmoji-Regular"),
    ],
)
def test_a_name_in_any_script_is_drawn_and_can_be_read_again(customer: str, font: str) -> None:
    pdf = draw(_invoice(customer))
    assert font in fonts(pdf)
    assert boxes(pdf) == 0
    assert set(customer) <= set(text(pdf))


@pytest.mark.parametrize("customer", ["\ue000", "\U00010900", "a\ue000b"])
def test_a_character_that_no_font_has_is_drawn_as_a_box(customer: str) -> None:
    assert boxes(draw(_invoice(customer))) == 1


@pytest.mark.parametrize("customer", ["\x07", "a\x00b", "\ud800"])
def test_a_character_that_is_no_text_is_drawn_as_a_sign(customer: str) -> None:
    assert "\ufffd" in text(draw(_invoice(customer)))


@pytest.mark.parametrize("customer", ["a\nb", "x" * 2000, "**b** <i>", "#panic() $x$ @y", "", " "])
def test_odd_text_is_drawn_as_it_is(customer: str) -> None:
    said = text(draw(_invoice(customer)))
    assert "3,751.50" in said
    assert "".join(customer.split()) in "".join(said.split())


@pytest.mark.parametrize(
    "description", ["a\n" * 250, "Ѹ" * 500, "W" * 500, "山" * 500, "م" * 500, "\u00ad" * 500]
)
def test_the_longest_description_that_could_be_posted_fits_in_its_column(description: str) -> None:
    invoice = _invoice("Ada", lines=2)
    invoice.lines[0].description = description

    assert "Notebook 1" in text(draw(invoice))


def test_a_long_invoice_goes_on_on_further_pages() -> None:
    pdf = draw(_invoice("Ada", lines=200))
    said = text(pdf)
    assert pages(pdf) > 1
    assert "Notebook 199" in said
    assert said.count("Description") == pages(pdf)
    assert len(pdf) < 500_000


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
