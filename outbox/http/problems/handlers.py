"""Turns every error of a request into a problem."""

from collections.abc import Callable, Coroutine
from http import HTTPMethod
from typing import Any, cast

from asgi_correlation_id import correlation_id
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DataError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match

from outbox.http import base_path
from outbox.http.problems import types
from outbox.http.problems.problem import Problem, answer, field_errors, invalid
from outbox.postgres.outages import is_unreachable
from outbox.store.sequences import is_duplicate
from outbox.values.storable import PayloadTooLarge

Handler = Callable[[Request], Coroutine[Any, Any, Response]]

TYPE_OF_STATUS = {404: types.NOT_FOUND, 405: types.METHOD}
"""For errors that Starlette and FastAPI raise themselves."""
RETRYABLE = ("57014", "55P03", "40001", "40P01")
"""SQLSTATEs of statements that took too long or conflicted with others."""


def handle_problems(app: FastAPI) -> None:
    """Make the app answer every error with a problem."""
    for error, handler in _HANDLERS.items():
        app.add_exception_handler(error, handler)
    app.add_exception_handler(Exception, _internal_error)


def with_problem_answers(handle: Handler) -> Handler:
    """The handler, answering errors with problems, whatever the app's own error handlers do."""

    async def handle_or_answer(request: Request) -> Response:
        base_path.remember(request)
        try:
            return await handle(request)
        except Exception as error:
            for type_, handler in _HANDLERS.items():
                if isinstance(error, type_):
                    return await handler(request, error)
            raise

    return handle_or_answer


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    base_path.remember(request)
    if isinstance(error, Problem):
        return answer(error)
    http = cast("HTTPException", error)
    type_ = TYPE_OF_STATUS.get(http.status_code, types.BAD_REQUEST)
    headers = {"Allow": _allowed_methods(request)} if type_ is types.METHOD else http.headers
    return answer(Problem(type_, http.detail, headers=headers))


def _allowed_methods(request: Request) -> str:
    """The methods of all routes at the address; Starlette names only those of the first."""

    def exists(method: str) -> bool:
        asked = {**request.scope, "method": "GET" if method == "HEAD" else method}
        return any(route.matches(asked)[0] is Match.FULL for route in request.app.routes)

    return ", ".join(filter(exists, HTTPMethod))


async def _validation_error(_: Request, error: Exception) -> JSONResponse:
    found = cast("RequestValidationError", error).errors()
    # A location starts with body, query, path or header, which is not part of the field's name.
    located = ({**each, "loc": each["loc"][1:] or each["loc"]} for each in found)
    return answer(invalid(field_errors(located)))


async def _database_error(_: Request, error: Exception) -> JSONResponse:
    if is_unreachable(error):
        return answer(_busy("the database is unreachable, or has no connection to spare"))
    if isinstance(error, DataError):
        return answer(Problem(types.INVALID, "a value is outside the range that can be stored"))
    if is_duplicate(getattr(error, "orig", error)):
        return answer(_busy("an id was assigned twice; a relay corrects that within a minute"))
    if getattr(getattr(error, "orig", None), "sqlstate", None) in RETRYABLE:
        return answer(_busy("the database took too long"))
    raise error


async def _pool_exhausted(_: Request, __: Exception) -> JSONResponse:
    return answer(_busy("all of this process's connections to the database are in use"))


async def _deadline_passed(_: Request, __: Exception) -> JSONResponse:
    detail = "the database did not answer in time"
    return answer(Problem(types.OUTCOME_UNKNOWN, detail, headers={"Retry-After": "2"}))


async def _payload_too_large(_: Request, error: Exception) -> JSONResponse:
    return answer(Problem(types.TOO_LARGE, str(error)))


async def _internal_error(_: Request, __: Exception) -> JSONResponse:
    request_id = correlation_id.get() or ""
    problem = Problem(types.INTERNAL, "see the service's log", headers={"X-Request-Id": request_id})
    return answer(problem, request_id)


def _busy(detail: str) -> Problem:
    return Problem(types.UNAVAILABLE, detail, headers={"Retry-After": "2"})


_HANDLERS: dict[type[Exception], Callable[[Request, Exception], Coroutine[Any, Any, Response]]] = {
    HTTPException: _http_error,
    RequestValidationError: _validation_error,
    DBAPIError: _database_error,
    PoolTimeout: _pool_exhausted,
    TimeoutError: _deadline_passed,
    PayloadTooLarge: _payload_too_large,
}
