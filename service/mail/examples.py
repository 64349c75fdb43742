"""Example request bodies for the API's documentation. They work as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi.openapi.models import Example

NEW_JOBS: dict[str, Example] = {
    "a mail": {
        "value": {
            "kind": "email.send",
            "payload": {"to": "ada@example.com", "subject": "Hello", "text": "Good morning."},
        }
    },
    "a mail, later": {
        "value": {
            "kind": "email.send",
            "payload": {"to": "ada@example.com", "subject": "Hello", "text": "Happy new year."},
            "run_at": "2031-01-01T00:00:00+01:00",
            "priority": "low",
        }
    },
}
