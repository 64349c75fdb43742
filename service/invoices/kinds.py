"""The jobs of invoices."""

from datetime import timedelta
from uuid import UUID

from pydantic import StrictBool

from outbox import Kind, Retry
from service.payload import Payload


class RenderInvoice(Payload):
    """Render the invoice's PDF, then notify webhook endpoints, and mail it unless told not to."""

    invoice_id: UUID
    then_mail: StrictBool = True


class InvoiceGone(Exception):
    """The invoice does not exist, or was deleted."""


RENDER_INVOICE = Kind(
    "invoice.render",
    RenderInvoice,
    queue="documents",
    time_limit=timedelta(minutes=1),
    retry=Retry(attempts=8, never=(InvoiceGone,)),
    owner="billing",
    idempotency="the same PDF by the same name; all else in one transaction",
)
