"""Which text and JSON Postgres can store: its own refusal would come late, and quote the value."""

from pydantic_core import from_json, to_json

from outbox.values import depth, nul

LARGEST = 1_000_000
"""Bytes of a payload as JSON in UTF-8. Larger data belongs in a document store."""


class PayloadTooLarge(ValueError):
    """The payload is larger than `LARGEST`."""

    def __init__(self, size: int) -> None:
        super().__init__(
            f"a payload may have up to {LARGEST} bytes, not {size}: keep large data in a document "
            "store, and a reference to it in the payload (docs/patterns/large-data.md)"
        )


def storable(text: str | None) -> str | None:
    """The text. Raises ValueError if Postgres would cut it off, or fail the commit for it."""
    if text is not None and b"\0" in text.encode():
        raise ValueError("subject and by may not contain NUL")
    return text


def storable_json(payload: str) -> str:
    """A payload as JSON, in ASCII. Raises ValueError if it holds NUL, is too deep or too large."""
    if nul.is_in_json(payload):
        raise ValueError("a payload may not contain NUL")
    depth.check(payload)
    if len(payload) > LARGEST and (size := _bytes_in_utf8(payload)) > LARGEST:
        raise PayloadTooLarge(size)
    return payload


def _bytes_in_utf8(payload: str) -> int:
    """The size of JSON in ASCII, where one character of another script takes six bytes or more."""
    return len(to_json(from_json(payload)))
