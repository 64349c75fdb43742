"""The kinds of jobs of this service: handlers submit them, actors do them."""

from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from outbox import Kind, Kinds, Retry
from service.documents import LONGEST_NAME, NAME
from service.mail.addresses import MailAddress
from service.mail.one_line import OneLine

DocumentName = Annotated[str, Field(pattern=f"^(?:{NAME.pattern})$", max_length=LONGEST_NAME)]


class Payload(BaseModel):
    """The base of all payloads: no unknown fields, immutable, no input in error texts."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class RenderInvoice(Payload):
    """Render the invoice's PDF, then mail it and notify the webhook endpoints."""

    invoice_id: UUID


class SendEmail(Payload):
    """One mail to one person. Attachments are names in the document store."""

    to: MailAddress
    subject: Annotated[OneLine, Field(max_length=200)]
    text: Annotated[str, Field(max_length=100_000)]
    attachments: Annotated[tuple[DocumentName, ...], Field(max_length=10)] = ()


class DeliverWebhook(Payload):
    """One event to one webhook endpoint."""

    endpoint_id: UUID
    event: Annotated[str, Field(pattern=r"^[a-z0-9_]+(\.[a-z0-9_]+)+$", max_length=100)]
    data: dict[str, Any]


class InvoiceGone(Exception):
    """The invoice does not exist, or was deleted."""


class MailRefused(Exception):
    """The mail server rejected this mail permanently (a 5xx reply)."""


class EndpointGone(Exception):
    """The webhook endpoint was deleted or disabled."""


class AddressRefused(Exception):
    """This service may not call the webhook's address."""


class EndpointMoved(Exception):
    """The webhook endpoint answered that its address changed permanently (301 or 308)."""


RENDER_INVOICE = Kind(
    "invoice.render",
    RenderInvoice,
    queue="documents",
    time_limit=timedelta(minutes=1),
    retry=Retry(attempts=8, never=(InvoiceGone,)),
)
SEND_EMAIL = Kind(
    "email.send",
    SendEmail,
    queue="email",
    time_limit=timedelta(minutes=12),  # a mail server may take ten to answer
    retry=Retry(attempts=8, never=(MailRefused,), uncertain=1),
    sensitive=("to", "text"),
)
DELIVER_WEBHOOK = Kind(
    "webhook.deliver",
    DeliverWebhook,
    queue="webhooks",
    time_limit=timedelta(minutes=1),
    retry=Retry(attempts=8, never=(EndpointGone, EndpointMoved, AddressRefused)),
    sensitive=("data",),
)

KINDS = Kinds(RENDER_INVOICE, SEND_EMAIL, DELIVER_WEBHOOK)
OPEN_TO_CLIENTS = Kinds(SEND_EMAIL, DELIVER_WEBHOOK)
