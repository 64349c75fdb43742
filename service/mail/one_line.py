"""One-line text, for mail headers and table rows."""

from typing import Annotated
from unicodedata import category

from pydantic import AfterValidator, Field

PATTERN = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"
"""The same rule for OpenAPI."""


def _one_line(text: str) -> str:
    if any(category(each) in ("Cc", "Zl", "Zp") for each in text):
        raise ValueError("must be one line, without control characters")
    return text


OneLine = Annotated[
    str,
    AfterValidator(_one_line),
    Field(min_length=1, json_schema_extra={"pattern": PATTERN}),
]
"""A text that is not empty and has no control characters or line separators."""
