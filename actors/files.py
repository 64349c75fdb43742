"""Deletes the files that nothing needs any more."""

from collections.abc import Sequence
from uuid import UUID

from outbox import Job, actor
from service.documents.store import documents
from service.files import sweeping
from service.files.kinds import SWEEP_FILES, SweepFiles
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
    """Delete what goes. Returns how many files it was."""
    count, last = 0, None
    while last := _delete_next(job, last):
        count += 1
    return count


def _delete_next(job: Job, after: UUID | None) -> UUID | None:
    """Delete the next file, the bytes first, then the row; its id, or None if there is none."""
    with job.sessions() as session, session.begin():
        file = sweeping.going(session, after)
        if file is None:
            return None
        id_ = file.id
        documents().delete(file.name)
        sweeping.forget(session, file)
        return id_


ACTORS = (sweep,)
