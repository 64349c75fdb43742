"""Invoices in requests and responses of the API."""

import re
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, WithJsonSchema

from outbox import SubmittedJob
from outbox.http.routes.jobs.schemas import JobSummary
from outbox.operations.jobs import JobRecord
from service.charging.schemas import PaymentMethod, PaymentShown
from service.invoices.models import Invoice, InvoiceLine
from service.mail.addresses import MailAddress
from service.mail.one_line import OneLine

Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="As in ISO 4217.")]

PRICE = r"^-?[0-9]{1,8}(\.[0-9]{1,2})?$"


def _decimal_string(given: object) -> str:
    # Many clients read a JSON number as a binary fraction, which cannot be 19.90 exactly.
    if isinstance(given, str) and re.fullmatch(PRICE, given):
        return given
    raise ValueError('must be a string such as "19.90"')


Price = Annotated[
    Decimal,
    BeforeValidator(_decimal_string),
    WithJsonSchema({"type": "string", "pattern": PRICE, "examples": ["19.90"]}),
]


class NewLine(BaseModel):
    """A line of a new invoice."""

    model_config = ConfigDict(extra="forbid")

    description: Annotated[OneLine, Field(max_length=500)]
    quantity: Annotated[int, Field(ge=1, le=1_000_000)]
    unit_price: Price


class NewInvoice(BaseModel):
    """An invoice to create and to mail as a PDF."""

    model_config = ConfigDict(extra="forbid")

    customer: Annotated[OneLine, Field(max_length=200)]
    email: MailAddress
    currency: Currency
    payment_method: PaymentMethod | None = None
    at_month_end: Annotated[
        StrictBool,
        Field(description="Charge, render and mail it when its month is closed, not now."),
    ] = False
    lines: Annotated[list[NewLine], Field(min_length=1, max_length=100)]

    def draft(self) -> Invoice:
        """The rows to insert."""
        lines = [
            InvoiceLine(position=position, **line.model_dump())
            for position, line in enumerate(self.lines, start=1)
        ]
        own = self.model_dump(
            include={"customer", "email", "currency", "payment_method", "at_month_end"}
        )
        return Invoice(**own, lines=lines, payments=[])


class LineShown(BaseModel):
    """A line of an invoice; `amount` is quantity times price."""

    model_config = ConfigDict(from_attributes=True)

    description: str
    quantity: int
    unit_price: Decimal
    amount: Decimal


class InvoiceSummary(BaseModel):
    """An invoice in brief; `total` is in its currency. `refunded` means that all was given back."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    customer: str
    email: str
    currency: str
    total: Decimal
    state: Literal["unpaid", "paid", "refunded"]
    at_month_end: bool
    created_at: datetime
    lines: list[LineShown]


class InvoiceShown(InvoiceSummary):
    """An invoice with its payments and jobs. The PDF exists once its job has rendered it."""

    payments: list[PaymentShown]
    jobs: list[JobSummary]
    links: dict[str, str]

    @classmethod
    def of(cls, invoice: Invoice, jobs: Iterable[JobRecord | SubmittedJob]) -> "InvoiceShown":
        """The invoice with its payments and jobs."""
        path = invoice_path(invoice.id)
        return cls(
            **InvoiceSummary.model_validate(invoice).model_dump(),
            payments=[PaymentShown.of(payment) for payment in invoice.payments],
            jobs=[JobSummary.brief(job) for job in jobs],
            links={"self": path, "pdf": f"{path}/pdf", "charge": f"{path}/charge"},
        )


class InvoicePage(BaseModel):
    """A page of invoices, newest first."""

    invoices: list[InvoiceSummary]
    next_cursor: str | None


def invoice_path(invoice_id: UUID) -> str:
    """The path of the invoice's URL."""
    return f"/v1/invoices/{invoice_id}"
