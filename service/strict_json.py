"""JSON bodies as Postgres can store them: what it cannot keep is refused before a handler runs."""

import math
from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import Query
from pydantic_core import from_json
from starlette.requests import Request

from outbox import depth
from service import problem_types as types
from service.problems import FieldError, Problem, invalid

Word = Annotated[str, Query(max_length=200, pattern=r"^[^\x00]*$")]
"""A query parameter that is text."""


class StrictRequest(Request):
    """A request whose JSON body may hold no NaN, infinity, lone surrogate or NUL."""

    async def json(self) -> Any:
        """The body's value. Raises `Problem`: 400 where it is no JSON, 422 naming bad fields."""
        try:
            value = from_json(await self.body(), allow_inf_nan=False)
        except ValueError as error:
            raise Problem(types.MALFORMED, str(error)) from None
        try:
            depth.check((await self.body()).decode())
        except depth.TooDeep as error:
            raise invalid([FieldError(field="body", message=str(error))]) from None
        if errors := [
            FieldError(field=".".join(path) or "body", message=text)
            for path, text in _unstorable(value)
        ]:
            raise invalid(errors)
        return value

    async def require_json(self) -> None:
        """Raises `Problem` 415 where there is a body that is declared as something else."""
        declared = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if await self.body() and declared != "application/json":
            raise Problem(types.NOT_JSON, "the body's Content-Type is not application/json")


def _unstorable(value: object, *path: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """What Postgres cannot keep, by its path: not joined here, where nearly all is fine."""
    if isinstance(value, str) and "\0" in value:
        yield path, "must not contain the character NUL"
    elif isinstance(value, float) and not math.isfinite(value):
        yield path, "is too large a number"
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _unstorable(name, *path)
            yield from _unstorable(inner, *path, name)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _unstorable(inner, *path, str(index))
