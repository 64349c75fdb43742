"""ETags of schedules, and the problems of acts that their state does not allow."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import Depends, Header

from outbox.http.problems import types
from outbox.http.problems.problem import Problem
from outbox.operations.schedules import Changed, Refused, Unknown

NO_VERSION = 0


def etag(version: int) -> dict[str, str]:
    """The header that says which version an answer has."""
    return {"ETag": f'"{version}"'}


async def _version(
    if_match: Annotated[
        str | None,
        Header(
            alias="If-Match",
            max_length=100,
            description="The ETag of the version that you know. If somebody has changed the "
            "schedule since, nothing is changed.",
        ),
    ] = None,
) -> int:
    if if_match is None:
        raise Problem(types.IF_MATCH, "the schedule's ETag is needed as If-Match")
    given = if_match.strip().strip('"')
    is_one = given.isascii() and given.isdecimal() and len(given) < 10
    return int(given) if is_one else NO_VERSION


KnownVersion = Annotated[int, Depends(_version)]
"""The version that the caller has seen."""


@contextmanager
def refusals() -> Iterator[None]:
    """Turn what operations refuse into a `Problem`: 404, 412 or 409."""
    try:
        yield
    except Unknown as error:
        raise Problem(types.NOT_FOUND, str(error)) from None
    except Changed as error:
        raise Problem(types.CHANGED, str(error)) from None
    except Refused as error:
        raise Problem(types.CONFLICT, str(error)) from None
