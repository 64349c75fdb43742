"""What a unique kind may say, and the keys of payloads."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel, RootModel

from outbox import Kind, Unique, Until
from outbox.flow.unique import LONGEST_KEY
from outbox.submission.rows import UniqueRow, one_of_each_key

SECOND = timedelta(seconds=1)


class Work(BaseModel):
    """A payload."""

    customer_id: int
    tags: dict[str, Any] = {}
    note: str = ""


@pytest.mark.parametrize(
    "options",
    [
        {"within": timedelta()},
        {"within": -SECOND},
        {"within": timedelta.max},
        {"within": SECOND, "until": Until.ENDED},
        {"within": SECOND, "until": Until.STARTED},
        {"within": SECOND, "debounce": SECOND, "cap": SECOND},
        {"debounce": SECOND},
        {"cap": SECOND},
        {"debounce": 2 * SECOND, "cap": SECOND},
        {"debounce": timedelta(), "cap": SECOND},
        {"debounce": SECOND, "cap": SECOND, "until": Until.ENDED},
        {"until": "sometime"},
    ],
)
def test_what_does_not_go_together_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Unique("customer_id", **options)


def test_a_field_that_comes_twice_or_that_the_payload_lacks_is_refused() -> None:
    with pytest.raises(ValueError, match="comes twice"):
        Unique("customer_id", "customer_id")
    with pytest.raises(ValueError, match="books: its payload has no field customer"):
        Kind("books", Work, unique=Unique("customer"))


def test_the_default_is_until_started() -> None:
    assert Unique("a").until is Until.STARTED
    assert Unique("a", until=Until.ENDED).until is Until.ENDED
    assert Unique("a", within=SECOND).until is None
    assert Unique("b", "a") == Unique("a", "b")


def test_the_key_is_that_of_the_fields_whatever_their_order() -> None:
    unique = Unique("tags", "customer_id")
    key = unique.key({"customer_id": 7, "tags": {"b": 1, "a": None}, "note": "x"})
    assert key == unique.key({"note": "y", "tags": {"a": None, "b": 1}, "customer_id": 7})
    assert key == '{"customer_id":7,"tags":{"a":null,"b":1}}'
    assert key != unique.key({"customer_id": "7", "tags": {"b": 1, "a": None}})
    assert Unique().key({"customer_id": 7}) == Unique().key({"customer_id": 8})


def test_a_long_key_is_hashed_and_still_tells_two_apart() -> None:
    unique = Unique("note")
    keys = {unique.key({"note": letter * 10_000}) for letter in "ab"}
    assert len(keys) == 2
    assert all(len(key) <= LONGEST_KEY and key.isascii() for key in keys)
    assert unique.key({"note": "é" * 20}).isascii()


def test_a_payload_without_the_field_in_its_json_is_an_error() -> None:
    with pytest.raises(ValueError, match="no root as JSON"):
        Unique("root").key(RootModel[int](3).model_dump(mode="json"))


def row(number: int, *, key: str = "k", **options: Any) -> UniqueRow:
    asked = {"kind": "books", "payload": str(number), "run_at": None, "expires_at": None} | options
    unique = Unique("k", debounce=SECOND, cap=SECOND) if "debounced" in key else Unique("k")
    return UniqueRow(asked, unique, {"k": key}, lambda _: None)


def test_of_several_jobs_of_one_key_the_first_is_written_as_it_is() -> None:
    rows = [row(1), row(2, key="other"), row(3, run_at="2100-01-01T00:00:00+00:00")]
    assert [(each["payload"], each["run_at"]) for each in one_of_each_key(rows)] == [
        ("1", None), ("2", None),
    ]  # fmt: skip


def test_a_debounced_one_is_written_as_the_last_asks_at_the_latest_time() -> None:
    early, late = "2100-01-01T00:00:00+14:00", "2100-01-01T00:00:00-12:00"
    rows = [
        row(1, key="debounced", run_at=late, subject="first"),
        row(2, key="debounced", run_at=early),
        row(3, key="debounced", expires_at="2101-01-01T00:00:00+00:00", subject="last"),
    ]
    (written,) = one_of_each_key(rows)
    assert (written["payload"], written["run_at"], written["subject"]) == ("3", late, "first")
    assert written["expires_at"] == "2101-01-01T00:00:00+00:00"
    assert rows[0]["payload"] == "1"
