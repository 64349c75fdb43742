"""Moments as the API takes them."""

import re
from typing import Annotated

from pydantic import AwareDatetime, BeforeValidator


def _written_out(given: object) -> str:
    # Pydantic would take a number, too, and guess whether it counts seconds or milliseconds.
    if isinstance(given, str) and re.match(r"[0-9]{4}-", given):
        return given
    raise ValueError("must be a moment such as 2026-01-31T09:00:00Z")


Moment = Annotated[AwareDatetime, BeforeValidator(_written_out)]
"""ISO 8601 with a time zone."""
