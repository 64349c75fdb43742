"""Which files nothing needs any more, and how they go.

A file goes in two commits. The first makes its row `deleting`: nobody sees it from then on. Then
its bytes are deleted, and the second commit deletes the row. If the process dies in between, the
next sweep goes on there: bytes never stay without a row, and no visible row is without bytes.
"""

from collections.abc import Iterable, Sequence
from uuid import UUID

from sqlalchemy import and_, delete, func, or_, select, update
from sqlalchemy.orm import Session

from service.files.models import UNSTORED, File, FileState, FileUse
from service.files.references import needed_by_jobs

MOST = 500
"""Files in one transaction."""


def expired(session: Session, after: UUID | None) -> Sequence[UUID]:
    """The next files whose lifetime is over and that no business row uses, in order; locked.

    What somebody uses at this moment is passed by.
    """
    over = and_(File.state == FileState.STORED, File.expires_at <= func.now())
    left = and_(File.state == FileState.STORING, File.created_at <= func.now() - UNSTORED)
    used = select(FileUse).where(FileUse.file_id == File.id).exists()
    found = select(File.id).where(or_(over, left), ~used).order_by(File.id).limit(MOST)
    if after:
        found = found.where(File.id > after)
    return session.scalars(found.with_for_update(skip_locked=True)).all()


def lock(session: Session, file_id: UUID) -> UUID | None:
    """Lock a file that is stored, until the transaction ends; its id, or None."""
    found = select(File.id).where(File.id == file_id, File.state == FileState.STORED)
    return session.scalar(found.with_for_update())


def let_go(session: Session, locked: Sequence[UUID], kinds: Iterable[str]) -> set[UUID]:
    """Make those of the files `deleting` that nothing needs; their ids.

    They must be locked by an earlier statement of this transaction: then this one sees all uses
    that were committed, and no more can come.
    """
    used = select(FileUse.file_id).where(FileUse.file_id.in_(locked))
    free = set(locked) - set(session.scalars(used)) - needed_by_jobs(session, locked, kinds)
    go = update(File).where(File.id.in_(free)).values(state=FileState.DELETING)
    session.execute(go)
    return free


def going(session: Session, after: UUID | None = None) -> File | None:
    """The next file whose bytes are to be deleted, in order; locked. Others' are passed by.

    Keep the lock until its row is deleted: then its name is free, and another document may have it,
    whose bytes must not be deleted.
    """
    found = select(File).where(File.state == FileState.DELETING).order_by(File.id).limit(1)
    if after:
        found = found.where(File.id > after)
    return session.scalar(found.with_for_update(skip_locked=True))


def forget(session: Session, file: File) -> None:
    """Delete the row of a file whose bytes are deleted."""
    session.execute(delete(File).where(File.id == file.id))
