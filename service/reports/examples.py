"""Example request bodies for the API's documentation. They work as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi.openapi.models import Example

NEW_REPORTS: dict[str, Example] = {
    "a month": {"value": {"month": "2026-11"}},
    "some days, as a table": {
        "value": {
            "first_day": "2026-11-16",
            "last_day": "2026-11-22",
            "zone": "Europe/Berlin",
            "formats": ["xlsx"],
        }
    },
}

NEW_LINKS: dict[str, Example] = {
    "for an hour": {"value": {"format": "pdf", "lifetime_seconds": 3600}},
}
