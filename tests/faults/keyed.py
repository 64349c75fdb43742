"""Jobs with keys. `DULY_ACTORS` tells the worker to take their actors."""

import asyncio
import itertools
import os
import time
from datetime import timedelta

import httpx2
from pydantic import BaseModel

from outbox import Actors, Job, Key, Kind, Rate, Retry, actor
from tests.faults.actors import QUEUE, enter


class Numbered(BaseModel):
    """A payload: whose job it is, and which one of theirs."""

    key: str
    number: int


BOOK_NEXT = Kind(
    "keyed.book",
    Numbered,
    queue=QUEUE,
    retry=Retry(attempts=6),
    key=Key(lambda payload: payload.key, ordered=True),
)


@actor(BOOK_NEXT)
def book_next(work: Numbered, job: Job) -> None:
    """Takes a while, and then books it."""
    time.sleep(0.02)
    with job.transaction() as tx:
        enter(tx, f"{work.key} {work.number}")


BOOK_RATED = Kind(
    "rated.book",
    Numbered,
    queue=QUEUE,
    retry=Retry(attempts=6),
    key=Key(lambda payload: payload.key, rate=Rate(1, per=timedelta(hours=1), burst=100)),
)


@actor(BOOK_RATED)
def book_rated(work: Numbered, job: Job) -> None:
    """Books it."""
    with job.transaction() as tx:
        enter(tx, f"{work.key} {work.number}")


SHARE = Kind("keyed.share", Numbered, queue=QUEUE, key=lambda payload: payload.key)


@actor(SHARE)
def share(work: Numbered, job: Job) -> None:
    """Takes a while, and then books it, whoever else of its key runs."""
    time.sleep(0.1)
    with job.transaction() as tx:
        enter(tx, f"{work.key} {work.number}")


BEAT = Kind("keyed.beat", Numbered, queue=QUEUE, key=Key(lambda payload: payload.key, at_most=1))
BEAT_AS_TASK = Kind("keyed.beat_as_task", Numbered, queue=QUEUE, key=BEAT.keys)


@actor(BEAT)
def beat(_work: Numbered, job: Job) -> None:
    """Tells the receiver all the time who does it, until it has heard enough."""
    while _goes_on(job):
        time.sleep(0.02)


@actor(BEAT_AS_TASK)
async def beat_as_task(_work: Numbered, job: Job) -> None:
    """The same without a thread."""
    for _ in itertools.takewhile(lambda _: _goes_on(job), itertools.count()):
        await asyncio.sleep(0.02)


def _goes_on(job: Job) -> bool:
    answer = httpx2.post(os.environ["FAULTS_RECEIVER"], content=job.worker, verify=False)
    return answer.status_code == httpx2.codes.NO_CONTENT


ACTORS = Actors([book_next, book_rated, share, beat, beat_as_task])
