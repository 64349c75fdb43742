"""Reads JSON exactly: what would be stored or delivered as something else is refused by name."""

import json
import math
import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import islice
from typing import Any

from outbox.values import depth, value_count

SURELY_EXACT = 15
"""A binary fraction of 64 bits keeps so many decimal digits."""
LONGEST_FRACTION = 400
MOST_FAULTS = 100

_unstorable = re.compile("[\0\ud800-\udfff]").search
"""Finds what no text in Postgres may hold."""
_may_be_unstorable = re.compile(r"\\u(?:0000|[dD][89a-fA-F])").search
"""Finds it in JSON that was decoded, where it can only be escaped; and finds whole pairs too."""


Fault = tuple[list[Any], str]
"""The path of a value that cannot be taken, and why not."""
_Path = tuple["_Path", Any] | None
"""A path by its end, so that going one level deeper copies nothing."""


@dataclass(frozen=True, slots=True)
class _Refused:
    """Stands in the place of a value that the decoder could not keep."""

    why: str


class Inexact(Exception):
    """Raised for JSON that cannot be kept as it is; `faults` has up to a hundred, by their path."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__(f"{len(faults)} values cannot be kept")
        self.faults = faults


def read(body: bytes) -> Any:
    """The value of a JSON text in UTF-8.

    Raises ValueError where it is no JSON, `depth.TooDeep` where it has too many levels,
    `value_count.TooMany` where it has too many values, and `Inexact` where it holds a name twice, a
    number that is not kept digit by digit, NUL, or half a surrogate pair.
    """
    try:
        text = body.decode()
        value_count.check(text)  # before it is parsed: then it is cheap
        depth.check(text)
        decoder = _Decoder()
        value = decoder.decode(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except (json.JSONDecodeError, UnicodeDecodeError, depth.TooDeep, value_count.TooMany):
        raise
    except ValueError:  # Python reads integers of up to 4300 digits
        raise ValueError("a number is NaN or infinity, or has too many digits") from None
    may_have_faults = decoder.has_refused or _may_be_unstorable(text)  # the walk takes its time
    if may_have_faults and (faults := list(islice(_faults(value), MOST_FAULTS))):
        raise Inexact(faults)
    return value


def _faults(value: Any) -> Iterator[Fault]:
    """What is wrong, and where; in time that grows with the number of values alone."""
    containers: deque[tuple[_Path, Any]] = deque([(None, [value])])
    while containers:
        path, container = containers.popleft()
        named = isinstance(container, dict)
        items: Iterable[tuple[Any, Any]] = container.items() if named else enumerate(container)
        for name, inner in items:
            here = (path, name)
            if named and _unstorable(name):
                yield _parts(path), "has a name with NUL or half a surrogate pair in it"
            elif isinstance(inner, _Refused):
                yield _parts(here), inner.why
            elif isinstance(inner, str):
                if _unstorable(inner):
                    yield _parts(here), "must not contain NUL or half a surrogate pair"
            elif isinstance(inner, dict | list) and inner:
                containers.append((here, inner))


def _parts(path: _Path) -> list[Any]:
    parts: list[Any] = []
    while path:
        path, part = path
        parts.append(part)
    return parts[-2::-1]  # without that of the list around the whole


def _is_exact(text: str, value: float) -> bool:
    if len(text) <= SURELY_EXACT and "e" not in text and "E" not in text:
        return True
    if len(text) > LONGEST_FRACTION or not math.isfinite(value):
        return False
    try:
        return Decimal(text) == Decimal(repr(value))
    except InvalidOperation:  # the exponent is huge
        return False


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


class _Decoder:
    """Decodes one text, and notes whether `_Refused` stands for any of its values."""

    def __init__(self) -> None:
        self.has_refused = False
        self.decode = json.JSONDecoder(
            object_pairs_hook=self._object, parse_float=self._fraction, parse_constant=_refuse
        ).decode

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            seen = set()
            for name, _ in pairs:
                if name in seen:
                    found[name] = self._refused("is given more than once")
                seen.add(name)
        return found

    def _fraction(self, text: str) -> float | _Refused:
        value = float(text)
        if _is_exact(text, value):
            return value
        return self._refused("is a number that cannot be kept exactly: send it as a text")

    def _refused(self, why: str) -> _Refused:
        self.has_refused = True
        return _Refused(why)
