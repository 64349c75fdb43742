"""The bytes of a message to another service."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic_core import from_json, to_json

JSON = "application/json"
BYTES = "application/octet-stream"
LARGEST_BODY = 1_000_000
"""Bytes. What is larger belongs in a store, and its address in the message."""

Content = BaseModel | Mapping[str, Any] | bytes


def encode(content: Content) -> tuple[bytes, str]:
    """The body, and its content type if none is given.

    Raises ValueError if it is too large, or cannot be written as JSON; TypeError if it is none of
    the three.
    """
    body, content_type = _encode(content)
    if len(body) > LARGEST_BODY:
        raise ValueError(f"a message has {LARGEST_BODY} bytes at most, not {len(body)}")
    return body, content_type


def _encode(content: Content) -> tuple[bytes, str]:
    if isinstance(content, bytes):
        return content, BYTES
    if isinstance(content, BaseModel):
        return content.model_dump_json().encode(), JSON
    if isinstance(content, Mapping):
        body = to_json(content)
        if b"NaN" in body or b"Infinity" in body:
            _refuse_nan(body)
        return body, JSON
    kind = type(content).__name__
    raise TypeError(f"a message is a pydantic model, a mapping or bytes: not {kind}")


def _refuse_nan(body: bytes) -> None:
    try:
        from_json(body, allow_inf_nan=False)
    except ValueError:
        raise ValueError("a message may not hold NaN or infinity") from None
