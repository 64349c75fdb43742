"""Routes that accept only the query parameters that they declare."""

from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.dependencies.utils import get_flat_params
from fastapi.params import Query
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from outbox.http.problems.handlers import with_problem_answers
from outbox.http.problems.problem import MOST_ERRORS, FieldError, field_error, invalid


class StrictRoute(APIRoute):
    """Answers 422 to an unknown or repeated query parameter, instead of ignoring it.

    If a misspelt filter were ignored, the request would list everything.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler, after a check of the names of the parameters."""
        handle = super().get_route_handler()
        described = get_flat_params(self.dependant)
        known = {field.alias for field in described if isinstance(field.field_info, Query)}

        async def with_known_parameters(request: Request) -> Response:
            if request.scope["query_string"] and (errors := _errors(request, known)):
                raise invalid(errors)
            return await handle(request)

        return with_problem_answers(with_known_parameters)


def _errors(request: Request, known: set[str]) -> list[FieldError]:
    given = Counter(name for name, _ in request.query_params.multi_items())
    wrong = [name for name, times in given.items() if name not in known or times > 1]
    return [field_error([name], _why(name, known)) for name in wrong[:MOST_ERRORS]]


def _why(name: str, known: set[str]) -> str:
    if name in known:
        return "is given more than once"
    accepted = ", ".join(sorted(known)) if known else "none"
    return f"is no query parameter of this address, which takes {accepted}"
