"""Limits how much of a request's body is read."""

from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope

from outbox.http.problems import types
from outbox.http.problems.problem import Problem

HINT = "; keep large data in a document store, and a reference to it in the payload"


def check_declared(scope: Scope, largest: int, hint: str = HINT) -> None:
    """Raise `Problem` 413 if the request declares a body over `largest` bytes.

    `hint` says what to do instead, after the limit.
    """
    if int(Headers(scope=scope).get("content-length", 0)) > largest:
        raise _too_large(largest, hint)


def limited(receive: Receive, largest: int, hint: str = HINT) -> Receive:
    """Return `receive` that raises `Problem` 413 once the body is over `largest` bytes."""
    size = 0

    async def receive_within_limit() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > largest:
            raise _too_large(largest, hint)
        return message

    return receive_within_limit


def _too_large(largest: int, hint: str) -> Problem:
    return Problem(types.TOO_LARGE, f"a body may have up to {largest} bytes{hint}")
