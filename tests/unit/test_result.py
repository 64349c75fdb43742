import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outbox.values.result import LARGEST, UnstorableResult, storable

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
results = st.recursive(
    st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
)


@given(results)
def test_any_json_value_is_kept_as_it_is(result: Any) -> None:
    assert json.loads(storable(result) or "") == result


def test_no_result_is_kept_as_none() -> None:
    assert storable(None) is None


@pytest.mark.parametrize("text", ["\\u0000", "\\\\u0000", "\\"])
def test_a_backslash_is_no_nul(text: str) -> None:
    assert json.loads(storable(text) or "") == text


def circle() -> list[Any]:
    """A list that holds itself."""
    values: list[Any] = []
    values.append(values)
    return values


@pytest.mark.parametrize(
    "result",
    [
        object(),
        {1, 2},
        b"bytes",
        {(1, 2): 3},
        float("nan"),
        float("inf"),
        circle(),
        "\0",
        "\\\0",
        {"\0": 1},
        "\ud800",
        "x" * LARGEST,
        json.loads("[" * 65 + "]" * 65),
    ],
)
def test_what_postgres_cannot_keep_is_refused(result: object) -> None:
    with pytest.raises(UnstorableResult):
        storable(result)
