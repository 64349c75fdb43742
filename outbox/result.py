"""A job's result as Postgres keeps it."""

import json
from typing import Any

from outbox import depth, nul

LARGEST = 1_000_000
"""What has more characters belongs in a document store, and its name into the result."""


class UnstorableResult(Exception):
    """What the actor made is no JSON value that Postgres can keep, or too large a one."""


def storable(result: Any) -> str | None:
    """The result as text for a jsonb column. Raises UnstorableResult."""
    if result is None:
        return None
    try:
        text = json.dumps(result, allow_nan=False, ensure_ascii=False)
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise UnstorableResult(str(error)) from None
    if len(text) > LARGEST:
        raise UnstorableResult(f"a result may have up to {LARGEST} characters, not {len(text)}")
    if nul.is_in_json(text):
        raise UnstorableResult("Postgres keeps no NUL in a text")
    try:
        depth.check(text)
    except depth.TooDeep as error:
        raise UnstorableResult(f"a result {error}") from None
    return text
