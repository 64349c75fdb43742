"""Example request bodies for the API's documentation. They work as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi.openapi.models import Example

NEW_INVOICES: dict[str, Example] = {
    "two lines": {
        "value": {
            "customer": "Ada Lovelace",
            "email": "ada@example.com",
            "currency": "EUR",
            "lines": [
                {"description": "Engine, analytical", "quantity": 1, "unit_price": "1200.00"},
                {"description": "Punched cards", "quantity": 500, "unit_price": "0.25"},
            ],
        }
    }
}
