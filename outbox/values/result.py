"""A job's result, as Postgres stores it."""

from typing import Any

from outbox.values import depth, stored_json

LARGEST = 1_000_000
"""Characters of JSON. A larger result belongs in a document store, and its name in the result."""


class UnstorableResult(Exception):
    """The actor's result is not a JSON value that Postgres can store, or is too large."""


def storable(result: Any) -> str | None:
    """The result as text for a jsonb column; None for None. Raises UnstorableResult."""
    if result is None:
        return None
    try:
        text = stored_json.text_of(result)
    except depth.TooDeep as error:
        raise UnstorableResult(f"a result {error}") from None
    except ValueError as error:
        raise UnstorableResult(str(error)) from None
    if len(text) > LARGEST:
        raise UnstorableResult(f"a result may have up to {LARGEST} characters, not {len(text)}")
    return text
