"""The path below which clients find the library's routes, such as `/ops`."""

from contextvars import ContextVar

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import NoMatchFound

INDEX = "duly:index"
"""The name of the route `/v1`, by which an app's prefix is found."""

_BASE = ContextVar("base_path", default="")
_VERSION = "/v1/"


def find_prefix(app: Starlette) -> str | None:
    """The prefix with which the app included the library's router.

    None if it has not included it, or if the prefix has parameters.
    """
    try:
        return app.url_path_for(INDEX).removesuffix("/v1")
    except NoMatchFound:
        return None


def remember(request: Request) -> None:
    """Store the path for the rest of this request, whichever of the app's routes it is for."""
    prefix = getattr(request.app.state, "duly_prefix", None)
    if prefix is None:  # what precedes the version in the path of the library's own routes
        _BASE.set(f"{request.scope['path']}/".rpartition(_VERSION)[0])
    else:
        _BASE.set(request.scope.get("root_path", "").rstrip("/") + prefix)


def with_base_path(path: str) -> str:
    """The path of one of the library's routes, as this request's client has to ask for it."""
    return _BASE.get() + path
