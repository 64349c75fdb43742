"""One request, one transaction: a 2xx answer means that everything it promises has committed.

The commit is in the route and not in a dependency, because FastAPI runs what follows a
dependency's `yield` after the response was sent.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Depends
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from outbox.database import is_unreachable
from outbox.submit import SUBMITTED
from service import problem_types as types
from service.auth import authenticate
from service.idempotency import AlreadyAnswered, keep_answer, take_turn
from service.problems import Problem
from service.strict_json import StrictRequest
from service.strict_route import StrictRoute

LONGEST_SECONDS = 20
"""After so long a request is given up, even if Postgres neither answers nor goes away."""


UPLOAD_SECONDS = 60


class TransactionalRoute(StrictRoute):
    """Runs the handler for a caller with an API key, in a transaction; answers after the commit.

    A POST takes an Idempotency-Key. An exception or an answer from 400 on rolls back. If the
    process dies, the transaction has committed with all it holds, the answer under its
    Idempotency-Key included, or not at all.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        if "POST" in (options.get("methods") or ()):
            options["dependencies"] = [*(options.get("dependencies") or ()), Depends(take_turn)]
        super().__init__(path, endpoint, **options)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler with the transaction around it."""
        handle = super().get_route_handler()

        async def in_transaction(request: Request) -> Response:
            request = StrictRequest(request.scope, request.receive)
            await authenticate(request)  # a stranger's body is not read
            await _receive(request)  # a slow upload holds no connection
            if self.body_field:
                await request.require_json()
            async with asyncio.timeout(LONGEST_SECONDS), request.app.state.sessions() as session:
                request.state.session = session
                try:
                    response = await handle(request)
                except AlreadyAnswered as earlier:
                    return earlier.response
                if response.status_code < 400:
                    await keep_answer(request, session, response)
                    await _commit(request, session)
            return response

        return in_transaction


async def _receive(request: Request) -> None:
    try:
        async with asyncio.timeout(UPLOAD_SECONDS):
            await request.body()
    except TimeoutError:
        raise Problem(types.TOO_SLOW, f"the body took over {UPLOAD_SECONDS} s") from None
    except ClientDisconnect:
        raise Problem(types.BAD_REQUEST, "the body ended early") from None  # nobody reads it


async def _commit(request: Request, session: AsyncSession) -> None:
    try:
        await session.commit()
    except DBAPIError as error:
        if is_unreachable(error):
            detail = "the connection to the database broke"
            raise Problem(types.OUTCOME_UNKNOWN, detail, headers={"Retry-After": "2"}) from error
        raise
    if session.info.get(SUBMITTED):
        request.app.state.nudge.send()
