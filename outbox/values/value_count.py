"""How many values JSON may have: each costs time and memory, however few bytes it has."""

import re

MOST_VALUES = 100_000
"""Objects, arrays, texts, numbers and constants together, at all levels of one JSON text."""

_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
"""A string without its end is matched too, as in outbox/values/depth.py: it takes linear time."""
_EMPTY = re.compile(r"[\[{]\s*[\]}]")


class TooMany(ValueError):
    """The JSON has more values than `MOST_VALUES`."""

    def __init__(self) -> None:
        super().__init__(f"may have up to {MOST_VALUES} values, at all levels together")


def check(text: str) -> None:
    """Raises TooMany for JSON with too many values; what is no JSON may pass.

    Builds nothing and takes linear time; costs next to nothing where there are few values.
    """
    if _at_most(text) > MOST_VALUES and count(text) > MOST_VALUES:
        raise TooMany


def count(text: str) -> int:
    """How many values valid JSON has."""
    bare = _STRING.sub("0", text)
    return _at_most(bare) - len(_EMPTY.findall(bare))


def _at_most(text: str) -> int:
    """A comma stands before each value but the first of its container."""
    return 1 + text.count(",") + text.count("[") + text.count("{")
