from typing import Any

from pydantic import BaseModel

from outbox import Kind
from outbox.redaction.fields import HIDDEN, redact, redact_headers, redact_result


class Login(BaseModel):
    user: str
    password: Any


LOGIN = Kind("login", Login, sensitive=("password",))


def test_only_sensitive_fields_are_redacted() -> None:
    shown = redact(LOGIN, {"user": "ann", "password": "hunter2"})
    assert shown == {"user": "ann", "password": HIDDEN}


def test_all_fields_of_an_unknown_kind_are_redacted() -> None:
    assert redact(None, {"user": "ann"}) == {"user": HIDDEN}


def test_sensitive_fields_of_a_result_are_hidden_at_any_depth() -> None:
    result = {"user": "ann", "more": [{"password": {"new": "hunter2"}}, 1]}
    shown = {"user": "ann", "more": [{"password": HIDDEN}, 1]}
    assert redact_result(LOGIN, result) == shown
    assert redact_result(None, result) == redact_result(None, 0) == HIDDEN
    assert redact_result(None, None) is None


def test_of_headers_those_of_rabbitmq_are_shown() -> None:
    headers = {"x-death": [{}], "x-first-death-queue": "q", "x-token": "hunter2"}
    assert redact_headers(headers, foreign=False) == headers | {"x-token": HIDDEN}
    assert redact_headers(headers, foreign=True) == HIDDEN
    assert redact_headers(["hunter2"], foreign=False) == HIDDEN
    assert redact_headers(None, foreign=True) is None
