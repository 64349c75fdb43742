"""What `GET /v1/kinds` says of a kind that is out of the ordinary."""

from collections.abc import Callable

from pydantic import BaseModel

from outbox import Kind
from outbox.http.routes.kinds import KindShown


class Call(BaseModel):
    """A payload that JSON schema has no words for."""

    back: Callable[[], None]


def test_a_payload_without_a_json_schema_is_null() -> None:
    shown = KindShown.of(Kind("call", Call), is_open=False)

    assert (shown.name, shown.payload_schema) == ("call", None)
