"""Points in time as the API accepts them."""

import re
from typing import Annotated

from pydantic import AwareDatetime, BeforeValidator


def _written_out(given: object) -> str:
    # Pydantic would also accept a number, and guess whether it is in seconds or milliseconds.
    if isinstance(given, str) and re.match(r"[0-9]{4}-", given):
        return given
    raise ValueError("must be a date and time such as 2026-01-31T09:00:00Z")


Moment = Annotated[AwareDatetime, BeforeValidator(_written_out)]
"""A date and time in ISO 8601, with a time zone."""
