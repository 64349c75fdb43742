import json
import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outbox.values import exact_json
from outbox.values.depth import DEEPEST, TooDeep
from outbox.values.exact_json import Inexact

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
floats = st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | floats | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
    max_leaves=20,
)


def faults(text: str) -> list[tuple[list[Any], str]]:
    with pytest.raises(Inexact) as refused:
        exact_json.read(text.encode())
    return refused.value.faults


@given(values)
def test_what_json_can_say_is_read_as_it_is(value: Any) -> None:
    assert exact_json.read(json.dumps(value).encode()) == value


@given(st.from_regex(r"-?(0|[1-9][0-9]{0,25})\.[0-9]{1,25}([eE][+-]?[0-9]{1,4})?", fullmatch=True))
def test_a_number_is_kept_exactly_or_refused(text: str) -> None:
    try:
        kept = exact_json.read(text.encode())
    except Inexact:
        assert float(text) in (math.inf, -math.inf) or Decimal(text) != Decimal(repr(float(text)))
    else:
        assert Decimal(repr(kept)) == Decimal(text)


@pytest.mark.parametrize(
    "text", ["12345678901234567.89", "1e400", "1e-400", "1e-99999999999999999999"]
)
def test_a_number_that_would_change_is_named(text: str) -> None:
    ((path, why),) = faults(f'{{"a": [0, {{"b": {text}}}]}}')

    assert (path, why.split(":")[0]) == (["a", 1, "b"], "is a number that cannot be kept exactly")


@pytest.mark.parametrize(
    "text", ["", "{", "[1,]", "{} {}", "NaN", "-Infinity", "9" * 5000, '"\x01"']
)
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        exact_json.read(text.encode())


@pytest.mark.parametrize(
    "body", [b"\xff", '"é"'.encode("utf-16"), b"\xef\xbb\xbf1", b'"\xed\xa0\x80"']
)
def test_what_is_no_utf8_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError):
        exact_json.read(body)


def test_a_name_that_comes_twice_is_named() -> None:
    assert faults('[{"a": 1, "b": 2, "a": {"c": 3}}]') == [([0, "a"], "is given more than once")]


@pytest.mark.parametrize(
    ("text", "path"),
    [('"\\u0000"', []), ('{"a": ["\\ud800"]}', ["a", 0]), ('{"a": {"\\u0000": "\\u0000"}}', ["a"])],
)
def test_what_postgres_cannot_keep_is_named(text: str, path: list[Any]) -> None:
    assert [fault for fault, _ in faults(text)] == [path]


def test_the_deepest_value_is_taken_and_a_deeper_one_refused() -> None:
    exact_json.read(b"[" * DEEPEST + b"]" * DEEPEST)

    with pytest.raises(TooDeep):
        exact_json.read(b"[" * (DEEPEST + 1) + b"]" * (DEEPEST + 1))
    with pytest.raises(ValueError, match="too deeply"):
        exact_json.read(b"[" * 90_000)


def test_a_hundred_faults_are_enough() -> None:
    assert len(faults(json.dumps(["\0"] * 10_000))) == 100
