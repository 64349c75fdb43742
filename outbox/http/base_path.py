"""Where the app has put the routers: `/ops` where it included them with that prefix."""

from contextvars import ContextVar

from starlette.requests import Request

_BASE = ContextVar("base_path", default="")
_VERSION = "/v1/"
"""With which the path of each route begins that has links."""


def remember(request: Request) -> None:
    """Take note for the rest of this request."""
    _BASE.set(request.scope["path"].rpartition(_VERSION)[0])


def below(path: str) -> str:
    """The path of one of the library's routes, as the client of this request has to ask for it."""
    return _BASE.get() + path
