"""Invoices, as the service's list of subjects has them."""

from outbox import Kinds
from service.invoices.kinds import RENDER_INVOICE
from service.invoices.models import Invoice, InvoiceLine
from service.subject import Subject

INVOICES = Subject(
    kinds=Kinds(RENDER_INVOICE),
    models=(Invoice, InvoiceLine),
    actors="actors.invoices",
    routes="service.invoices.routes",
)
