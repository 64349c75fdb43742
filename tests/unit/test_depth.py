import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outbox.values import depth
from outbox.values.depth import CUT, DEEPEST, TooDeep

texts = st.text(st.characters(exclude_categories=["Cs"])) | st.text('[]{}"\\')
values = st.recursive(
    st.none() | st.integers() | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
)


def nested(levels: range, value: Any) -> Any:
    """The value inside of an array or object for each level, with others beside it."""
    for level in levels:
        value = [1, value, "]"] if level % 2 else {"{": 1, "in": value}
    return value


@given(values)
def test_what_is_not_deep_is_kept_as_it_is(value: Any) -> None:
    text = json.dumps([value] * DEEPEST)
    depth.check(text)
    assert depth.read(text) == depth.cut([value] * DEEPEST) == [value] * DEEPEST


def test_the_deepest_value_that_is_taken_is_shown_whole() -> None:
    deepest = nested(range(DEEPEST), 1)
    depth.check(json.dumps(deepest))
    assert depth.read(json.dumps(deepest)) == depth.cut(deepest) == deepest


@pytest.mark.parametrize("more", [1, 2, 200])
def test_what_lies_too_deep_is_refused_or_replaced_where_it_stands(more: int) -> None:
    deep = nested(range(DEEPEST + more), 1)
    cut = nested(range(more, DEEPEST + more), CUT)
    assert depth.read(json.dumps(deep)) == depth.cut(deep) == cut
    with pytest.raises(TooDeep, match="up to 64 levels"):
        depth.check(json.dumps(deep))


def test_a_hundred_thousand_levels_are_read_and_hide_nothing_beside_them() -> None:
    deep = "[" * 100_000 + "]" * 100_000
    shown = depth.read(f'{{"a": {deep}, "b": 1}}')
    assert shown["b"] == 1
    assert json.dumps(shown["a"]) == "[" * (DEEPEST - 1) + json.dumps(CUT) + "]" * (DEEPEST - 1)


def test_a_string_without_its_end_takes_linear_time() -> None:
    depth.check("[" * 100 + '"' + '\\"' * 500_000)
