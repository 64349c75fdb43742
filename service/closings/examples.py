"""Example request bodies for the API's documentation. They work as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi.openapi.models import Example

NEW_CLOSINGS: dict[str, Example] = {"a month": {"value": {"month": "2026-10"}}}
