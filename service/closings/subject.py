"""Month ends, as the service's list of subjects has them."""

from outbox import Kinds
from service.closings.kinds import CLOSING_BEGIN, CLOSING_GO_ON
from service.closings.models import Closing, ClosingInvoice
from service.subject import Subject

CLOSINGS = Subject(
    kinds=Kinds(CLOSING_BEGIN, CLOSING_GO_ON),
    models=(Closing, ClosingInvoice),
    actors="actors.closings",
    routes="service.closings.routes",
)
