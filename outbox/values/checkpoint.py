"""A job's checkpoint, as Postgres stores it."""

from typing import Any

from outbox.values import stored_json

LARGEST_BYTES = 64 * 1024
"""Bytes of JSON. It is the place to go on from; what was made so far belongs in tables."""


def storable(checkpoint: Any) -> str:
    """The checkpoint as text for a jsonb column. Raises ValueError."""
    try:
        text = stored_json.text_of(checkpoint)
    except ValueError as error:
        raise ValueError(f"this is no checkpoint: {error}") from None
    if (size := len(text.encode())) > LARGEST_BYTES:
        raise ValueError(f"a checkpoint may have up to {LARGEST_BYTES} bytes, not {size}")
    return text
