"""The graph of docs/batches.md: an import, a chunk for each part, a report, a mail.

`DULY_ACTORS` tells the worker to take these actors. Each books what it did, once if all is right.
"""

from pydantic import BaseModel

from outbox import Actors, Job, Kind, Retry, actor, batch, submit
from tests.faults.actors import QUEUE, enter

CHUNKS = 20


class Step(BaseModel):
    """A payload: which import, and which part of it."""

    file: str
    number: int = 0


PATIENT = Retry(attempts=6)
IMPORT = Kind("graph.import", Step, queue=QUEUE, retry=PATIENT)
SPLIT = Kind("graph.split", Step, queue=QUEUE, retry=PATIENT)
CHUNK = Kind("graph.chunk", Step, queue=QUEUE, retry=PATIENT)
REPORT = Kind("graph.report", Step, queue=QUEUE, retry=PATIENT)
MAIL = Kind("graph.mail", Step, queue=QUEUE, retry=PATIENT)
STEPS = ["import", "split", *(f"chunk {number}" for number in range(CHUNKS)), "report", "mail"]


@actor(IMPORT)
def read(work: Step, job: Job) -> None:
    """The first step."""
    with job.transaction() as tx:
        enter(tx, "import")


@actor(SPLIT)
def split(work: Step, job: Job) -> None:
    """Submits a batch of chunks."""
    with job.transaction() as tx, batch(tx, on_success=REPORT(file=work.file)):
        enter(tx, "split")
        for number in range(CHUNKS):
            submit(tx, CHUNK(file=work.file, number=number))


@actor(CHUNK)
async def chunk(work: Step, job: Job) -> None:
    """A part."""
    async with job.transaction() as tx:
        await tx.run_sync(enter, f"chunk {work.number}")


@actor(REPORT)
def report(work: Step, job: Job) -> None:
    """Once all parts are done."""
    with job.transaction() as tx:
        enter(tx, "report")
        submit(tx, MAIL(file=work.file))


@actor(MAIL)
def mail(work: Step, job: Job) -> None:
    """The last step."""
    with job.transaction() as tx:
        enter(tx, "mail")


ACTORS = Actors([read, split, chunk, report, mail])
