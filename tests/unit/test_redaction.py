import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from outbox import Kind
from outbox.redaction import HIDDEN, LONGEST_TEXT, redact, scrub


class Login(BaseModel):
    user: str
    password: Any


LOGIN = Kind("login", Login, sensitive=("password",))

# Letters of the mark itself would be found in the text again.
secrets = st.text(st.characters(exclude_characters=HIDDEN, exclude_categories=["Cs"]), min_size=4)


def test_only_sensitive_fields_are_redacted() -> None:
    shown = redact(LOGIN, {"user": "ann", "password": "hunter2"})
    assert shown == {"user": "ann", "password": HIDDEN}


def test_all_fields_of_an_unknown_kind_are_redacted() -> None:
    assert redact(None, {"user": "ann"}) == {"user": HIDDEN}


@given(secrets, st.text(), st.text())
def test_no_sensitive_text_survives(secret: str, before: str, after: str) -> None:
    clean = scrub(f"{before}{secret}{after}", LOGIN, {"password": secret})
    assert secret not in clean


@given(secrets)
def test_no_sensitive_text_survives_as_python_or_json_writes_it(secret: str) -> None:
    text = f"{KeyError(secret)} {json.dumps(secret)}"
    clean = scrub(text, LOGIN, {"password": secret})
    assert repr(secret)[1:-1] not in clean
    assert json.dumps(secret)[1:-1] not in clean


@given(st.lists(secrets, min_size=1), st.randoms())
def test_of_nested_values_none_survives(values: list[str], chance: Any) -> None:
    nested = {"a": values[::2], "b": {"c": values[1::2]}}
    clean = scrub(" / ".join(chance.sample(values, len(values))), LOGIN, {"password": nested})
    assert not any(value in clean for value in values)


def test_a_secret_inside_another_leaves_no_rest_of_it() -> None:
    clean = scrub("it was hunter2hunter", LOGIN, {"password": ["hunter", "hunter2hunter"]})
    assert clean == f"it was {HIDDEN}"


@pytest.mark.parametrize("number", [4242424242424242, 1234.5])
def test_a_sensitive_number_does_not_survive(number: float) -> None:
    assert scrub(f"bad card {number}", LOGIN, {"password": number}) == f"bad card {HIDDEN}"


@pytest.mark.parametrize("short", ["no", "a", "", 7, True, None])
def test_a_short_value_stays_so_that_the_text_can_be_read(short: object) -> None:
    text = "no answer: True and None of a 7"
    assert scrub(text, LOGIN, {"password": short}) == text


def test_what_is_not_sensitive_stays() -> None:
    payload = {"user": "hunter", "password": "swordfish"}
    assert scrub("hunter said swordfish", LOGIN, payload) == f"hunter said {HIDDEN}"


@pytest.mark.parametrize("before", range(0, 40, 7))
def test_where_an_endless_text_is_cut_no_half_of_a_secret_is_left(before: int) -> None:
    text = "x" * (LONGEST_TEXT - before) + "swordfish" * 10
    clean = scrub(text, LOGIN, {"password": "swordfish"})
    assert len(clean) <= LONGEST_TEXT + 9
    assert (HIDDEN * 10).startswith(clean.lstrip("x"))
