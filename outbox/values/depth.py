"""How deeply JSON may be nested: one limit for everything stored and everything shown.

What one program stores, others must read. Parsers, Postgres and terminals each have a limit of
their own, and some take exponential time before they reach it.
"""

import json
import re
from typing import Any

DEEPEST = 64
"""How many levels of objects and arrays a payload, a result or a message's headers may have."""

CUT = "[nested too deeply]"
"""Replaces a value that is deeper than that."""

_BRACKETS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|([\[{])|[\]}]', re.DOTALL)
"""What opens or closes a level of JSON. A string matches as a whole, with any brackets inside it.

A string without an end matches too: searching for one from each quote would take quadratic time.
"""


class TooDeep(ValueError):
    """The value has more levels than `DEEPEST`."""

    def __init__(self) -> None:
        super().__init__(f"may be nested up to {DEEPEST} levels deep")


def check(text: str) -> None:
    """Raises TooDeep for JSON with too many levels. Text that is not JSON may pass.

    Takes linear time, and next to none if there are few brackets.
    """
    if _excess(text):
        raise TooDeep


def read(text: str) -> Any:
    """The value of valid JSON, with `CUT` in place of what is too deep. Takes linear time."""
    parts, kept = [], 0
    for start, end in _excess(text):
        parts += [text[kept:start], json.dumps(CUT)]
        kept = end
    return json.loads("".join([*parts, text[kept:]]))


def cut(value: Any, levels: int = DEEPEST) -> Any:
    """The same for a value in memory: a copy of it without what is too deep."""
    if not isinstance(value, dict | list | tuple):
        return value
    if levels == 0:
        return CUT
    if isinstance(value, dict):
        return {name: cut(inner, levels - 1) for name, inner in value.items()}
    return [cut(inner, levels - 1) for inner in value]


def _excess(text: str) -> list[tuple[int, int]]:
    """Where the values of the first level that is too deep begin and end."""
    if text.count("[") + text.count("{") <= DEEPEST:
        return []
    found, level, began = [], 0, 0
    for each in _BRACKETS.finditer(text):
        if each[1]:
            level += 1
            if level == DEEPEST + 1:
                began = each.start()
        elif each[0][0] in "]}":
            if level == DEEPEST + 1:
                found.append((began, each.end()))
            level -= 1
    return found
