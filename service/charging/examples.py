"""Example request bodies for the API's documentation. They work as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi.openapi.models import Example

NEW_CHARGES: dict[str, Example] = {
    "a card": {"value": {"payment_method": "pm_card_visa"}},
    "the invoice's payment method": {"value": {}},
}
NEW_REFUNDS: dict[str, Example] = {
    "a part": {"value": {"amount": "25.00"}},
    "all that is left": {"value": {}},
}
