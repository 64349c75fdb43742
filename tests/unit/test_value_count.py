import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outbox.values import exact_json, value_count
from outbox.values.value_count import MOST_VALUES, TooMany

texts = st.text(st.characters(exclude_categories=["Cs"])) | st.text('[]{}",\\ ')
values = st.recursive(
    st.none() | st.integers() | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
)
COSTLY = [
    pytest.param("[" + ",".join(["1"] * 475_000) + "]", id="numbers"),
    pytest.param("[" + ",".join(["[]"] * 300_000) + "]", id="empty arrays"),
    pytest.param("[" + ",".join(["[" * 60 + "1" + "]" * 60] * 7_900) + "]", id="nested arrays"),
    pytest.param("[" + ",".join(['{"":{}}'] * 100_000) + "]", id="objects"),
    pytest.param("[" + ",".join(['""'] * 300_000) + "]", id="texts"),
]


def in_all(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + sum(map(in_all, value.values()))
    return 1 + sum(map(in_all, value)) if isinstance(value, list) else 1


@given(values, st.sampled_from([None, 1]))
def test_every_value_counts_once(value: Any, indent: int | None) -> None:
    assert value_count.count(json.dumps(value, indent=indent)) == in_all(value)


def test_the_most_values_are_taken_and_one_more_is_refused() -> None:
    most = [0] * (MOST_VALUES - 1)  # the array is one, too
    assert exact_json.read(json.dumps(most).encode()) == most
    with pytest.raises(TooMany, match="up to 100000 values"):
        exact_json.read(json.dumps([*most, 0]).encode())


@pytest.mark.parametrize("text", COSTLY)
def test_too_many_values_are_refused_before_any_is_built(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exact_json, "_Decoder", None)
    with pytest.raises(TooMany):
        exact_json.read(text.encode())


def test_what_stands_in_a_text_is_no_value() -> None:
    value_count.check(json.dumps(",[{" * MOST_VALUES))
    value_count.check('"' + '\\"' * 500_000 + ",[" * MOST_VALUES)
