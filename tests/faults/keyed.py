"""Jobs of ordered keys and of a key with a rate. `DULY_ACTORS` has the worker take their actors."""

import time
from datetime import timedelta

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


ACTORS = Actors([book_next, book_rated])
