"""Charging, as the service's list of subjects has it."""

from outbox import Kinds
from service.charging.kinds import (
    PAYMENT_CANCEL,
    PAYMENT_CHARGE,
    PAYMENT_REFUND,
    PAYMENT_SETTLED,
)
from service.charging.models import Payment, Refund
from service.subject import Subject

CHARGING = Subject(
    kinds=Kinds(PAYMENT_CHARGE, PAYMENT_REFUND, PAYMENT_CANCEL, PAYMENT_SETTLED),
    models=(Payment, Refund),
    actors="actors.charging",
    routes="service.charging.routes",
)
