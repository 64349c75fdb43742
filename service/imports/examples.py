"""Example request bodies for the API's documentation. They work as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi.openapi.models import Example

NEW_IMPORTS: dict[str, Example] = {
    "a file": {"value": {"file": "charges.csv", "size": 104857600}},
    "German, from Excel": {
        "value": {
            "file": "charges.csv",
            "options": {"encoding": "cp1252", "separator": ";", "decimal": "comma"},
        }
    },
}
