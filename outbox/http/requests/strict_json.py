"""Requests whose JSON is parsed exactly, and in a thread if it is large."""

from typing import Annotated, Any

from fastapi import Query
from fastapi.concurrency import run_in_threadpool
from starlette.requests import Request

from outbox.http.problems import types
from outbox.http.problems.problem import Problem, field_error, invalid
from outbox.values import depth, exact_json, value_count

SMALL_BODY = 64 * 1024
"""A body of up to this many bytes is parsed within a few milliseconds."""
MOST_FIELDS = 100

QueryText = Annotated[str, Query(max_length=200, pattern=r"^[^\x00]*$")]
"""A query parameter that is text without NUL."""


class StrictRequest(Request):
    """A request whose JSON body is understood exactly as it was sent, or refused."""

    async def json(self) -> Any:
        """The body's value. Raises `Problem`: 400 if it is not JSON, 422 naming bad fields."""
        value = await self._value()
        if isinstance(value, dict) and len(value) > MOST_FIELDS:  # each could be an error
            raise invalid([field_error(["body"], f"may have up to {MOST_FIELDS} fields")])
        return value

    async def _value(self) -> Any:
        body = await self.body()
        try:
            if len(body) <= SMALL_BODY:
                return exact_json.read(body)
            return await run_in_threadpool(exact_json.read, body)  # other requests go on
        except exact_json.Inexact as error:
            raise invalid([field_error(*fault) for fault in error.faults]) from None
        except (depth.TooDeep, value_count.TooMany) as error:
            raise invalid([field_error(["body"], str(error))]) from None
        except ValueError as error:
            raise Problem(types.MALFORMED, str(error)) from None

    async def require_json(self) -> None:
        """Raises `Problem` 415 if there is a body whose Content-Type is not JSON."""
        declared = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if await self.body() and declared != "application/json":
            raise Problem(types.NOT_JSON, "the body's Content-Type is not application/json")
