"""The prefix with which the app included the routers, such as `/ops`."""

from contextvars import ContextVar

from starlette.requests import Request

_BASE = ContextVar("base_path", default="")
_VERSION = "/v1/"
"""The path of each route whose answers have links begins with this."""


def remember(request: Request) -> None:
    """Store the prefix for the rest of this request."""
    _BASE.set(request.scope["path"].rpartition(_VERSION)[0])


def with_base_path(path: str) -> str:
    """The path of one of the library's routes, as this request's client has to ask for it."""
    return _BASE.get() + path
