"""Has a request wait until a job has ended, without a connection to Postgres."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
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


async def wait_until_ended(
    request: Request, ended_jobs: EndedJobs, job_id: UUID, seconds: int
) -> None:
    """Return once the job has ended or is not there, or the time is over.

    Returns earlier if the client goes away or the process is to stop. The request may take so much
    longer than others. Call it before the first statement: until then the request's transaction
    has no connection.
    """
    limit: asyncio.Timeout = request.state.time_limit
    limit.reschedule((limit.when() or 0) + seconds)
    await _first_of(seconds, ended_jobs.wait(job_id), _disconnect(request))


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
