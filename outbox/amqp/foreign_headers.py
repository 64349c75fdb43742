"""The headers of a message that is not Duly's, as Postgres keeps them."""

import json
import math
from collections.abc import Mapping
from typing import Any

from outbox.values import depth


def as_json(headers: Mapping[str, Any]) -> str:
    """The headers as JSON. Replaces NUL, cuts what is nested too deeply, makes other types text."""
    return json.dumps(_plain(depth.cut(headers))).replace("\\u0000", "\\ufffd")


def _plain(value: Any) -> Any:
    """The value in JSON's types, including the keys of its tables."""
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, str | int | float | None) else str(value)
