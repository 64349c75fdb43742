"""Deletes the files that nothing needs any more."""

from collections.abc import Sequence
from uuid import UUID

from outbox import Job, actor
from service.documents import documents
from service.files import sweeping
from service.files.kinds import SWEEP_FILES, SweepFiles
from service.files.models import File
from service.files.references import kinds_with_files
from service.subjects import KINDS


@actor(SWEEP_FILES)
def sweep(_: SweepFiles, job: Job) -> dict[str, int]:
    """Delete what has expired, and what uploads left that broke off; the result says how many.

    If the process dies, the files that it had begun to delete stay invisible, and the next attempt
    deletes them.
    """
    _let_go(job)
    return {"deleted": _delete(job)}


def _let_go(job: Job) -> None:
    kinds, last = kinds_with_files(KINDS.values()), None
    while found := _next(job, last, kinds):
        last = found[-1]


def _next(job: Job, after: UUID | None, kinds: list[str]) -> Sequence[UUID]:
    with job.sessions() as session, session.begin():
        found = sweeping.expired(session, after)
        sweeping.let_go(session, found, kinds)
    return found


def _delete(job: Job) -> int:
    """Delete what goes: the bytes first, then the rows. Returns how many."""
    count = 0
    while files := _going(job):
        for file in files:
            documents().delete(file.name)
        with job.sessions() as session, session.begin():
            sweeping.forget(session, files)
        count += len(files)
    return count


def _going(job: Job) -> Sequence[File]:
    with job.sessions() as session:
        return sweeping.going(session)


ACTORS = (sweep,)
