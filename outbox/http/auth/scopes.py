"""Who may call what: an API key as bearer token, and the scope that each route asks for."""

from typing import Annotated

import structlog
from fastapi import Depends, Security
from fastapi.security import HTTPBearer, SecurityScopes
from starlette.requests import Request

from outbox.http.auth.verified_keys import VerifiedKeys
from outbox.http.problems import types
from outbox.http.problems.problem import Problem
from outbox.operations.api_keys import Caller, Scope

in_openapi = HTTPBearer(
    auto_error=False,
    scheme_name="ApiKey",
    bearerFormat="duly_<prefix>_<secret>",
    description="A key made by `duly keys create`. Scopes: `submit` posts invoices and jobs; "
    "`read` sees them, and dead letters; `operate` cancels, replays and discards; `admin` does "
    "all this and manages webhook endpoints; `payloads` shows what is redacted otherwise.",
)


async def authenticate(request: Request) -> None:
    """Find out who calls, from the headers alone: nothing of the body is read for it.

    Raises `Problem`: 401 without a valid key, 503 where that cannot be told.
    """
    given = request.headers.getlist("authorization")
    scheme, _, key = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    caller = await _holder(request, key.strip()) if scheme.lower() == "bearer" else None
    if caller is None:
        detail = "there is no valid API key in the Authorization header"
        raise Problem(types.UNAUTHENTICATED, detail, headers={"WWW-Authenticate": "Bearer"})
    structlog.contextvars.bind_contextvars(api_key=caller.prefix)
    request.state.caller = caller


async def _holder(request: Request, key: str) -> Caller | None:
    keys: VerifiedKeys = request.app.state.duly.keys
    try:
        return await keys.caller(key)
    except TimeoutError:
        detail = "the database did not say in time whose key it is"
        raise Problem(types.UNAVAILABLE, detail, headers={"Retry-After": "2"}) from None


async def identified(request: Request) -> Caller:
    """The caller whom `authenticate` found."""
    caller = getattr(request.state, "caller", None)
    if not isinstance(caller, Caller):
        raise TypeError("a scope needs a router with route_class=TransactionalRoute")
    return caller


async def _allowed(
    wanted: SecurityScopes,
    caller: Annotated[Caller, Depends(identified)],
    _: Annotated[object, Depends(in_openapi)],
) -> Caller:
    for scope in wanted.scopes:
        demand(caller, Scope(scope))
    return caller


def demand(caller: Caller, scope: Scope) -> None:
    """Raise `Problem` 403 where the key does not allow it."""
    if not caller.may(scope):
        raise Problem(types.FORBIDDEN, f"the API key lacks the scope {scope}")


Submitter = Annotated[Caller, Security(_allowed, scopes=[Scope.SUBMIT])]
Reader = Annotated[Caller, Security(_allowed, scopes=[Scope.READ])]
Operator = Annotated[Caller, Security(_allowed, scopes=[Scope.OPERATE])]
Admin = Annotated[Caller, Security(_allowed, scopes=[Scope.ADMIN])]
