"""Invoices of the past month, so that a report has something to show."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from sqlalchemy import create_engine
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from outbox.postgres.address import sqlalchemy_url
from service.invoices.models import Invoice, InvoiceLine

INVOICES = 400
CUSTOMERS = (
    *("Ada Lovelace", "Łukasz Đỗ", "Ελένη Παπαδάκη", "Юлия Орлова", "Müller & Søn", "山田太郎"),
    *("王小明", "김하늘", "محمد علي", "נועה כהן", "प्रिया शर्मा", "สมชาย ใจดี", "Zoë 🚀 Labs"),
)
CURRENCIES = ("EUR", "EUR", "EUR", "USD")


def write_invoices(database_url: str, now: datetime | None = None) -> str:
    """Write them to the tables, without jobs; those of an earlier run stay. Returns the month."""
    end = (now or datetime.now(UTC)).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    start = (end - timedelta(days=1)).replace(day=1)
    month, chance = f"{start:%Y-%m}", Random(f"{start:%Y-%m}")  # noqa: S311 - figures to look at
    made = [_invoice(f"{month}/{n}", start, end, chance) for n in range(INVOICES)]
    engine = create_engine(sqlalchemy_url(database_url))
    with Session(engine) as tx, tx.begin():
        tx.execute(insert(Invoice).on_conflict_do_nothing(), [invoice for invoice, _ in made])
        tx.execute(insert(InvoiceLine).on_conflict_do_nothing(), [line for _, line in made])
    engine.dispose()
    return month


def _invoice(
    name: str, start: datetime, end: datetime, chance: Random
) -> tuple[dict[str, Any], dict[str, Any]]:
    """An invoice and its line. The same name has the same id, in whatever run."""
    id_ = uuid5(NAMESPACE_URL, f"https://demo.invalid/invoices/{name}")
    invoice = {
        "id": id_,
        "customer": chance.choice(CUSTOMERS),
        "email": "customer@example.com",
        "currency": chance.choice(CURRENCIES),
        "created_at": start + chance.random() * (end - start),
    }
    return invoice, _line(id_, chance)


def _line(invoice_id: UUID, chance: Random) -> dict[str, Any]:
    return {
        "invoice_id": invoice_id,
        "position": 0,
        "description": "Computing time",
        "quantity": chance.randint(1, 12),
        "unit_price": Decimal(chance.randint(1_000, 20_000)) / 100,
    }
