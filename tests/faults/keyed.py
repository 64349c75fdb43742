"""Jobs of ordered keys. `DULY_ACTORS` tells the worker to take their actor."""

import time

from pydantic import BaseModel

from outbox import Actors, Job, Key, Kind, Retry, actor
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


ACTORS = Actors([book_next])
