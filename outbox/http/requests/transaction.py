"""One transaction for each request: a 2xx answer means that all it promises has committed.

The route commits, not a dependency, because FastAPI runs what follows a dependency's `yield` only
after the response has been sent.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar

from fastapi import Depends
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from outbox.http.auth.scopes import authenticate
from outbox.http.problems import types
from outbox.http.problems.handlers import with_problem_answers
from outbox.http.problems.problem import Problem
from outbox.http.requests.body_size import check_declared, limited
from outbox.http.requests.idempotency import AlreadyAnswered, lock_key, store_answer
from outbox.http.requests.request_transaction import RequestTransaction
from outbox.http.requests.strict_json import StrictRequest
from outbox.http.requests.strict_route import StrictRoute
from outbox.postgres.outages import may_have_committed
from outbox.postgres.replication import WRITE_WAL

LONGEST_SECONDS = 20
"""A request is cancelled after this time, even if Postgres neither answers nor disconnects.

One that waits for a job to end may take so much longer: see outbox/http/requests/waiting.py.
"""

WAIT_FOR_STANDBY = text(WRITE_WAL)
"""Run before an answer is repeated: the first commit may not have reached the standby."""

UPLOAD_SECONDS = 60


class TransactionalRoute(StrictRoute):
    """Runs the handler in a transaction, for a caller with an API key; answers after the commit.

    A POST takes an Idempotency-Key. A body over `Settings.largest_body` is a 413, also in an app
    without the middleware `BodyLimit`. An exception, or a status of 400 or above, rolls back. If
    the process dies, either the whole transaction has committed, with the answer stored under its
    Idempotency-Key, or none of it.
    """

    takes_idempotency_key: ClassVar[bool] = True
    largest_body: ClassVar[int | None] = None
    """A limit of the route's own, in bytes, below `Settings.largest_body`."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        if self.takes_idempotency_key and "POST" in (options.get("methods") or ()):
            options["dependencies"] = [*(options.get("dependencies") or ()), Depends(lock_key)]
        super().__init__(path, endpoint, **options)

    async def authenticate(self, request: Request) -> None:
        """Find out who calls, before any of the body is read. Raises `Problem`."""
        await authenticate(request)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler inside the transaction."""
        handle = super().get_route_handler()

        async def in_transaction(request: Request) -> Response:
            largest = self._largest(request)
            request = StrictRequest(request.scope, limited(request.receive, largest))
            await self.authenticate(request)  # so the body of a stranger is not read
            check_declared(request.scope, largest)
            await _receive(request)  # so a slow upload holds no connection
            if self.body_field:
                await request.require_json()
            sessions = request.app.state.duly.sessions
            async with (
                asyncio.timeout(LONGEST_SECONDS) as limit,
                RequestTransaction(sessions()) as tx,
            ):
                request.state.session, request.state.time_limit = tx.session, limit
                try:
                    response = await handle(request)
                    if response.status_code < 400:
                        await store_answer(request, tx.session, response)
                except AlreadyAnswered as earlier:
                    response = earlier.response
                    await tx.session.execute(WAIT_FOR_STANDBY)
                if response.status_code < 400:
                    await _commit(tx)
            return response

        return with_problem_answers(in_transaction)

    def _largest(self, request: Request) -> int:
        of_all: int = request.app.state.duly.settings.largest_body
        return of_all if self.largest_body is None else min(self.largest_body, of_all)


class KeylessRoute(TransactionalRoute):
    """A transactional route without an API key and without an Idempotency-Key.

    Its handler finds out who calls by the body, such as by its signature, so the body of a stranger
    is read: a subclass refuses in `authenticate` what the headers alone show to be of a stranger,
    and sets `largest_body`.
    """

    takes_idempotency_key = False

    async def authenticate(self, request: Request) -> None:
        """Refuse what the headers show to be of a stranger; here nobody. Raises `Problem`."""


async def _receive(request: Request) -> None:
    try:
        async with asyncio.timeout(UPLOAD_SECONDS):
            await request.body()
    except TimeoutError:
        raise Problem(types.TOO_SLOW, f"the body took more than {UPLOAD_SECONDS} s") from None
    except ClientDisconnect:
        raise Problem(types.BAD_REQUEST, "the body ended early") from None  # the client is gone


async def _commit(tx: RequestTransaction) -> None:
    try:
        await tx.commit()
    except DBAPIError as error:
        if may_have_committed(error):
            detail = "the database did not confirm the commit"
            raise Problem(types.OUTCOME_UNKNOWN, detail, headers={"Retry-After": "2"}) from error
        raise
