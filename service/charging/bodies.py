"""Bodies of requests that move money."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from service.charging.schemas import PaymentMethod
from service.invoices.schemas import Price


class NewCharge(BaseModel):
    """How to charge an invoice; by its own payment method, unless one is given."""

    model_config = ConfigDict(extra="forbid")

    payment_method: PaymentMethod | None = None


class NewRefund(BaseModel):
    """How much to give back; all that is left, unless an amount is given."""

    model_config = ConfigDict(extra="forbid")

    amount: Annotated[Price, Field(gt=0)] | None = None


AS_INVOICED = NewCharge()
ALL_OF_IT = NewRefund()
