"""Example request bodies for the API's documentation."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi.openapi.models import Example

NEW_IMAGES: dict[str, Example] = {
    "a file that was uploaded": {"value": {"file_id": "01920000-0000-7000-8000-000000000004"}}
}
