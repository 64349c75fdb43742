"""A JSON value as text that a jsonb column can store."""

import json
from typing import Any

from outbox.values import depth, nul


def text_of(value: Any) -> str:
    """The value as JSON. Raises ValueError if it is no JSON value, or Postgres cannot store it."""
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(str(error)) from None
    if nul.is_in_json(text):
        raise ValueError("Postgres stores no NUL in a text")
    depth.check(text)
    return text
