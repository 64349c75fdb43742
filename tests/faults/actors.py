"""The suite's own kinds and actors: each leaves a trace that Duly's tables know nothing of.

`DULY_ACTORS` tells the worker to take them in place of the service's.
"""

import asyncio
import os
import re
import time
from datetime import timedelta

import httpx2
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.orm import Session

from outbox import Actors, Job, Kind, Retry, Snooze, actor, submit
from service.invoices.kinds import RENDER_INVOICE, RenderInvoice
from service.invoices.models import Invoice

QUEUE = RENDER_INVOICE.queue
PATIENT = Retry(attempts=6, first=timedelta())
TWICE = Retry(attempts=2, first=timedelta())


class Marked(BaseModel):
    """A payload: the mark that the client gave this piece of work, and knows it by."""

    mark: str


BOOK = Kind("fault.book", Marked, queue=QUEUE, retry=PATIENT)
ELSEWHERE = Kind("fault.elsewhere", Marked, queue="a-queue-that-no-setting-names", retry=PATIENT)
CALL = Kind("fault.call", Marked, queue=QUEUE, retry=PATIENT)
ORDER = Kind("fault.order", Marked, queue=QUEUE, retry=PATIENT)
HOLD = Kind("fault.hold", Marked, queue=QUEUE, retry=PATIENT)
AWAIT = Kind("fault.await", Marked, queue=QUEUE, retry=PATIENT)
FLAKY = Kind("fault.flaky", Marked, queue=QUEUE, retry=PATIENT)
NAP = Kind("fault.nap", Marked, queue=QUEUE, retry=PATIENT)
DOOMED = Kind("fault.doomed", Marked, queue=QUEUE, retry=TWICE)
SLEEP = Kind("fault.sleep", Marked, queue=QUEUE, retry=TWICE, time_limit=timedelta(seconds=1))
FREEZE = Kind("fault.freeze", Marked, queue=QUEUE, retry=TWICE)
COPY = Kind("fault.copy", Marked, queue=QUEUE, retry=PATIENT)
COPY_AS_TASK = Kind("fault.copy_as_task", Marked, queue=QUEUE, retry=PATIENT)
LINGER = Kind("fault.linger", Marked, queue=QUEUE, retry=PATIENT)
LINGER_AS_TASK = Kind("fault.linger_as_task", Marked, queue=QUEUE, retry=PATIENT)
UNKNOWN = Kind("fault.unknown", Marked, queue=QUEUE)
"""No actor does it."""

COPIED = 1_000_000
CHUNK = 1_000
"""How many rows COPY writes, and how many in a step."""

QUEUES = (QUEUE, ELSEWHERE.queue)
BOOKING = {
    kind.name
    for kind in (
        *(BOOK, ELSEWHERE, ORDER, HOLD, AWAIT, FLAKY, NAP, DOOMED),
        *(COPY, COPY_AS_TASK, RENDER_INVOICE),
    )
}
CALLING = {kind.name for kind in (CALL, ORDER, HOLD, AWAIT)}
COPY_ROWS = text(
    "INSERT INTO copied SELECT generate_series(CAST(:begin AS int), CAST(:end AS int))"
)
DYING = {kind.name for kind in (DOOMED, SLEEP, FREEZE, UNKNOWN)}


@actor(BOOK)
def book(work: Marked, job: Job) -> None:
    """An effect in Postgres."""
    with job.transaction() as tx:
        enter(tx, work.mark)


@actor(ELSEWHERE)
def book_elsewhere(work: Marked, job: Job) -> None:
    """The same for another queue."""
    with job.transaction() as tx:
        enter(tx, work.mark)


@actor(CALL)
def call(work: Marked, job: Job) -> None:
    """An effect outside."""
    post(work.mark, job)


@actor(ORDER)
def order(work: Marked, job: Job) -> None:
    """An effect in Postgres, and a job that follows and has the one outside."""
    with job.transaction() as tx:
        enter(tx, work.mark)
        submit(tx, CALL(mark=work.mark))


@actor(HOLD)
def hold(work: Marked, job: Job) -> None:
    """An effect outside, which takes as long as the receiver likes, and then one in Postgres."""
    post(work.mark, job)
    with job.transaction() as tx:
        enter(tx, work.mark)


@actor(FLAKY)
async def fail_first(work: Marked, job: Job) -> None:
    """Fails, then books."""
    if job.dispatch == 1:
        raise ValueError("not at the first time")
    async with job.transaction() as tx:
        await tx.run_sync(enter, work.mark)


@actor(NAP)
async def snooze_first(work: Marked, job: Job) -> None:
    """Snoozes, then books."""
    if job.dispatch == 1:
        raise Snooze(timedelta(seconds=0.5))
    async with job.transaction() as tx:
        await tx.run_sync(enter, work.mark)


@actor(AWAIT)
async def await_receiver(work: Marked, job: Job) -> None:
    """As HOLD, without a thread."""
    url, headers = os.environ["FAULTS_RECEIVER"], {"Idempotency-Key": str(job.id)}
    async with httpx2.AsyncClient(timeout=60, verify=False) as client:  # to read CAs would block
        (await client.post(url, content=work.mark, headers=headers)).raise_for_status()
    async with job.transaction() as tx:
        await tx.run_sync(enter, work.mark)


@actor(DOOMED)
def fail(work: Marked, job: Job) -> None:
    """Fails until the cause is mended, then books."""
    with job.transaction() as tx:
        enter(tx, work.mark)
        if not tx.scalar(text("SELECT count(*) FROM mended")):
            raise ValueError("doomed")


@actor(SLEEP)
def sleep(_work: Marked, _job: Job) -> None:
    """Sits in a call that Python cannot interrupt."""
    time.sleep(3600)


@actor(FREEZE)
def freeze(_work: Marked, _job: Job) -> None:
    """Never lets go of the interpreter: no other thread of the process gets on."""
    re.match(r"(a+)+$", "a" * 60 + "b")


@actor(COPY)
def copy(work: Marked, job: Job) -> None:
    """Writes a million rows, in steps, and then books."""
    for begin in range(job.checkpoint or 0, COPIED, CHUNK):
        with job.step(begin + CHUNK) as tx:
            tx.execute(COPY_ROWS, {"begin": begin + 1, "end": begin + CHUNK})
        job.progress(begin + CHUNK, COPIED)
    with job.transaction() as tx:
        enter(tx, work.mark)


@actor(COPY_AS_TASK)
async def copy_as_task(work: Marked, job: Job) -> None:
    """As COPY, without a thread."""
    for begin in range(job.checkpoint or 0, COPIED, CHUNK):
        async with job.step(begin + CHUNK) as tx:
            await tx.execute(COPY_ROWS, {"begin": begin + 1, "end": begin + CHUNK})
        job.progress(begin + CHUNK, COPIED)
    async with job.transaction() as tx:
        await tx.run_sync(enter, work.mark)


@actor(LINGER)
def linger(work: Marked, job: Job) -> None:
    """Books, and takes long about it."""
    with job.transaction() as tx:
        enter(tx, work.mark)
        while True:
            time.sleep(0.01)


@actor(LINGER_AS_TASK)
async def linger_as_task(work: Marked, job: Job) -> None:
    """As LINGER, without a thread."""
    async with job.transaction() as tx:
        await tx.run_sync(enter, work.mark)
        await asyncio.Event().wait()


@actor(RENDER_INVOICE)
def render(work: RenderInvoice, job: Job) -> None:
    """Books the invoice's customer, whom the client knows it by."""
    with job.transaction() as tx:
        enter(tx, tx.get_one(Invoice, work.invoice_id).customer)


def enter(tx: Session, mark: str) -> None:
    """One row for each effect; nothing in the table keeps a second one out."""
    tx.execute(text("INSERT INTO entries VALUES (:mark)"), {"mark": mark})


def post(mark: str, job: Job) -> None:
    """One request for each effect, with the job's id as its idempotency key."""
    url, headers = os.environ["FAULTS_RECEIVER"], {"Idempotency-Key": str(job.id)}
    httpx2.post(url, content=mark, headers=headers, timeout=60).raise_for_status()


ACTORS = Actors(
    [
        *(book, book_elsewhere, call, order, hold, await_receiver, fail_first, snooze_first, fail),
        *(sleep, freeze, copy, copy_as_task, linger, linger_as_task, render),
    ]
)
