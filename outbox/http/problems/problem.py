"""Problems: errors as clients see them, as `application/problem+json` (RFC 9457)."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from outbox.http.base_path import with_base_path
from outbox.http.problems import types
from outbox.http.problems.types import ProblemType

MEDIA_TYPE = "application/problem+json"
MOST_ERRORS = 100
LONGEST_FIELD = 100
LONGEST_MESSAGE = 300

ANY_REQUEST = (
    types.UNAUTHENTICATED,
    types.FORBIDDEN,
    types.INVALID,
    types.INTERNAL,
    types.UNAVAILABLE,
)
POST_REQUEST = (
    types.MALFORMED,
    types.BAD_KEY,
    types.IN_FLIGHT,
    types.TOO_LARGE,
    types.TOO_SLOW,
    types.NOT_JSON,
    types.INVALID,
    types.KEY_REUSED,
    types.UNAVAILABLE,
    types.OUTCOME_UNKNOWN,
)


class FieldError(BaseModel):
    """What is wrong with one field; `field` is its path, such as `payload.to`."""

    field: str
    message: str


class ProblemBody(BaseModel):
    """An error as in RFC 9457; `type` is a stable address that explains it."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldError] | None = None
    request_id: str | None = None


class Problem(HTTPException):
    """Raised to answer with a problem; the request's transaction rolls back."""

    def __init__(
        self,
        type_: ProblemType,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        errors: Sequence[FieldError] | None = None,
    ) -> None:
        super().__init__(type_.status, detail, headers)
        self.type = type_
        self.errors = list(errors) if errors else None


def answer(problem: Problem, request_id: str | None = None) -> JSONResponse:
    """The response for a problem."""
    body = ProblemBody(
        type=with_base_path(problem.type.uri),
        title=problem.type.title,
        status=problem.type.status,
        detail=problem.detail,
        errors=problem.errors,
        request_id=request_id,
    )
    return JSONResponse(
        body.model_dump(exclude_none=True),
        problem.type.status,
        headers=dict(problem.headers or {}),
        media_type=MEDIA_TYPE,
    )


def field_error(path: Iterable[object], message: str) -> FieldError:
    """What is wrong with the field at that path; long names and messages are truncated."""
    names = (str(part)[:LONGEST_FIELD] for part in path)
    field = ".".join(names)[:LONGEST_FIELD]
    return FieldError(field=field or "body", message=message[:LONGEST_MESSAGE])


def field_errors(errors: Iterable[Mapping[str, Any]]) -> list[FieldError]:
    """Pydantic's first hundred errors by field, without the values that were sent."""
    return [
        field_error(each["loc"], str(each["msg"]).removeprefix("Value error, "))
        for each in islice(errors, MOST_ERRORS)
    ]


def invalid(errors: Sequence[FieldError]) -> Problem:
    """The problem for fields that are not valid."""
    fields = ", ".join(error.field for error in errors[:3])
    return Problem(types.INVALID, f"not valid: {fields}", errors=errors)
