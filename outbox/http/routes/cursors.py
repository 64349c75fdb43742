"""Cursors say where the next page of a list starts. They are opaque to clients."""

import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Protocol, TypeVar

from fastapi import Query
from pydantic import BaseModel, ConfigDict, ValidationError

from outbox.http.problems import types
from outbox.http.problems.problem import Problem

LIFETIME_SECONDS = 24 * 60 * 60

Id = TypeVar("Id")


class _Identified(Protocol):
    @property
    def id(self) -> Any: ...


Row = TypeVar("Row", bound=_Identified)

Limit = Annotated[int, Query(ge=1, le=200, description="The largest number of entries to list.")]
Cursor = Annotated[
    str | None, Query(max_length=500, description="`next_cursor` of the previous page.")
]


class _Position(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    version: Literal[1] = 1
    of: str
    last: str
    made_at: int


def read(cursor: str | None, of: str, id_type: type[Id]) -> Id | None:
    """The id after which the page starts. Raises `Problem` 400 for a bad or expired cursor."""
    if cursor is None:
        return None
    try:
        position = _Position.model_validate_json(urlsafe_b64decode(cursor))
        last = id_type(position.last)  # type: ignore[call-arg]
    except (ValueError, ValidationError):
        raise Problem(types.BAD_CURSOR, "the cursor was not issued by this service") from None
    if position.of != of:
        raise Problem(types.BAD_CURSOR, f"the cursor belongs to the list of {position.of}")
    if time.time() - position.made_at > LIFETIME_SECONDS:
        raise Problem(types.BAD_CURSOR, "the cursor has expired")
    return last


def page(rows: Sequence[Row], of: str, limit: int) -> tuple[Sequence[Row], str | None]:
    """The page, and the cursor of the next one. `rows` may have one row more than the limit."""
    if len(rows) <= limit:
        return rows, None
    return rows[:limit], after(rows[limit - 1].id, of)


def after(last: Any, of: str) -> str | None:
    """The cursor of the page that begins after the id `last`; None if that is None."""
    if last is None:
        return None
    position = _Position(of=of, last=str(last), made_at=int(time.time()))
    return urlsafe_b64encode(position.model_dump_json().encode()).decode()
