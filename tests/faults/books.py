"""A unique kind: a job that starts after a submission has committed does what that asked for."""

from pydantic import BaseModel
from sqlalchemy import text

from outbox import Actors, Duly, Job, Kind, Kinds, Unique, actor
from tests.faults.actors import PATIENT, QUEUE


class Sync(BaseModel):
    """Whose books are done."""

    customer_id: int


SYNC = Kind("fault.sync", Sync, queue=QUEUE, retry=PATIENT, unique=Unique("customer_id"))


@actor(SYNC)
def sync(_: Sync, job: Job) -> None:
    """Take all that was asked for."""
    with job.transaction() as tx:
        tx.execute(text("UPDATE entries SET mark = 'done' WHERE mark = 'asked'"))


ACTORS = Actors([sync])
duly = Duly(Kinds(SYNC), ACTORS, open_kinds=Kinds(SYNC))
