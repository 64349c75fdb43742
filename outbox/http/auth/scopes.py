"""Authenticates callers by API key, and checks the scope that each route requires."""

from typing import Annotated, Protocol

import structlog
from fastapi import BackgroundTasks, Depends, Security
from fastapi.security import HTTPBearer, SecurityScopes
from starlette.requests import Request

from outbox.http.auth.last_seen import LastSeen
from outbox.http.problems import types
from outbox.http.problems.problem import Problem
from outbox.operations.api_keys import Caller, Scope

api_key_scheme = HTTPBearer(
    auto_error=False,
    scheme_name="ApiKey",
    bearerFormat="duly_<prefix>_<secret>",
    description="A key made with `duly keys create`. Scopes: `submit` creates jobs, and what the "
    "app creates with them; `read` shows these, schedules, dead letters, kinds, queues and "
    "workers; `operate` cancels, replays, discards and schedules; `metrics` reads metrics; "
    "`admin` allows all this and what else the app asks it for; `payloads` shows what is otherwise "
    "redacted.",
)


class Keys(Protocol):
    """Finds who holds an API key."""

    async def caller(self, key: str) -> Caller | None:
        """Who holds it, or None. Raises what `VerifiedKeys.caller` raises."""


async def authenticate(request: Request, keys: Keys | None = None) -> None:
    """Find out who calls from the headers alone, before any of the body is read.

    `keys` are by default the app's `VerifiedKeys`. Raises `Problem`: 401 without a valid key, 503
    if Postgres does not answer in time. Raises what else `keys` raise.
    """
    given = request.headers.getlist("authorization")
    scheme, _, key = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    known = keys or request.app.state.duly.keys
    caller = await _find_caller(known, key.strip()) if scheme.lower() == "bearer" else None
    if caller is None:
        detail = "the Authorization header has no valid API key"
        raise Problem(types.UNAUTHENTICATED, detail, headers={"WWW-Authenticate": "Bearer"})
    structlog.contextvars.bind_contextvars(api_key=caller.prefix)
    request.state.caller = caller


async def _find_caller(keys: Keys, key: str) -> Caller | None:
    try:
        return await keys.caller(key)
    except TimeoutError:
        detail = "the database did not look up the API key in time"
        raise Problem(types.UNAVAILABLE, detail, headers={"Retry-After": "2"}) from None


async def current_caller(request: Request) -> Caller:
    """The caller whom `authenticate` has found."""
    caller = getattr(request.state, "caller", None)
    if not isinstance(caller, Caller):
        raise TypeError("a scope needs a router with route_class=TransactionalRoute")
    return caller


async def _with_scopes(
    wanted: SecurityScopes,
    caller: Annotated[Caller, Depends(current_caller)],
    _: Annotated[object, Depends(api_key_scheme)],
    request: Request,
    background: BackgroundTasks,
) -> Caller:
    for scope in wanted.scopes:
        require_scope(caller, Scope(scope))
    _note_use(request, caller, background)
    return caller


async def require_operator(request: Request, background: BackgroundTasks) -> None:
    """Raise `Problem` unless the caller may operate, on a route that others need no key for."""
    await authenticate(request)
    caller = await current_caller(request)
    require_scope(caller, Scope.OPERATE)
    _note_use(request, caller, background)


def _note_use(request: Request, caller: Caller, background: BackgroundTasks) -> None:
    """Have the time of the key's last use written after the answer, once a minute.

    A BackgroundTask is right here: the time is wanted by nobody in particular, a lost one is made
    good by the next request, and no request should wait for it or fail because of it. A job would
    cost more than it is worth. Everything else in the service is a promise to somebody, and so a
    job: a BackgroundTask is lost if the process dies, is not retried, and leaves no trace.
    """
    last_seen: LastSeen = request.app.state.duly.last_seen
    if last_seen.is_due(caller.prefix):
        background.add_task(last_seen.note, caller.prefix)


def require_scope(caller: Caller, scope: Scope) -> None:
    """Raise `Problem` 403 if the key lacks the scope."""
    if not caller.may(scope):
        raise Problem(types.FORBIDDEN, f"the API key lacks the scope {scope}")


Submitter = Annotated[Caller, Security(_with_scopes, scopes=[Scope.SUBMIT])]
Reader = Annotated[Caller, Security(_with_scopes, scopes=[Scope.READ])]
Operator = Annotated[Caller, Security(_with_scopes, scopes=[Scope.OPERATE])]
Scraper = Annotated[Caller, Security(_with_scopes, scopes=[Scope.METRICS])]
Admin = Annotated[Caller, Security(_with_scopes, scopes=[Scope.ADMIN])]
