"""Has a request wait until a job has ended, without a connection to Postgres."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query
from starlette.requests import Request

from outbox.http.ended_jobs import EndedJobs
from outbox.http.problems.problem import Problem

LONGEST_SECONDS = 60

Wait = Annotated[
    int,
    Query(
        ge=0,
        le=LONGEST_SECONDS,
        description="Answer once the job has ended, or else after so many seconds.",
    ),
]


@asynccontextmanager
async def after_end(
    request: Request, ended_jobs: EndedJobs, job_id: UUID, seconds: int
) -> AsyncIterator[None]:
    """Enter once the job has ended or is not there, or the time is over: at once for 0 seconds.

    Enters earlier if the client goes away or the process is to stop. The request may take so much
    longer than others. Enter before the first statement: until then the request's transaction has
    no connection. However many have waited, only a few are in the block at a time, so that
    connections are left for other requests.
    """
    if not seconds:
        yield
        return
    limit: asyncio.Timeout = request.state.time_limit
    limit.reschedule((limit.when() or 0) + seconds)
    await _first_of(seconds, ended_jobs.wait(job_id), _disconnect(request))
    async with ended_jobs.turns:
        yield


async def _disconnect(request: Request) -> None:
    with suppress(Problem):  # the process cancels uploads
        while (await request.receive())["type"] != "http.disconnect":
            pass


async def _first_of(seconds: float, *waits: Coroutine[Any, Any, None]) -> None:
    """Return when one of them does, or when the time is over; the others are cancelled."""
    tasks = [asyncio.create_task(each) for each in waits]
    try:
        await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
