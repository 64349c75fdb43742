"""The life of a file: reserved, kept, used, released, expired.

All of these write in the session's transaction, so a file is there with the caller's rows, or
neither is. Of an AsyncSession call `await session.run_sync(keep, name, ...)`.
"""

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Select, case, delete, func, null, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from service.files.models import UNSTORED, File, FileState, FileUse

WHILE_USED = timedelta()
"""The lifetime of a file that is kept for as long as something needs it."""


class FileMissing(Exception):
    """There is no such file, or it has been deleted."""


class FileIsGoing(Exception):
    """The document of this name is being deleted. In a minute its name is free again."""


def reserve(session: Session, *, name: str | None = None, by: str | None = None) -> File:
    """Note that a document is about to be stored. Commit it before the first byte is stored.

    If the process dies before `keep`, the document is deleted a day later. One that has the name
    already is kept for a day at least: what is stored now must not be deleted as the old one.
    Without a name it gets one made of the file's id. Raises FileIsGoing, which is worth a retry:
    the document of this name is being deleted, and what is stored now could be deleted with it.
    """
    id_ = uuid7()
    row = {"id": id_, "name": name or f"files/{id_}", "state": FileState.STORING, "by": by}
    longer = func.greatest(File.expires_at, func.now() + UNSTORED)
    lifetime = case((File.expires_at.is_not(None), longer))
    return _write(session, row, {"created_at": func.now(), "expires_at": lifetime})


def keep(
    session: Session,
    name: str,
    *,
    size: int,
    media_type: str,
    sha256: str | None = None,
    expires_in: timedelta | None = None,
    used_by: str | None = None,
    by: str | None = None,
) -> File:
    """Register a document that has been stored, after `reserve`. Done again, it changes the row.

    The file is deleted once `expires_in` is over and nothing needs it. With None it is kept until
    somebody deletes it; with `WHILE_USED` for as long as something needs it. `used_by` is a
    business row that does, such as `report:<id>`. Raises FileIsGoing, which is worth a retry.
    """
    told = {
        "state": FileState.STORED,
        "size": size,
        "media_type": media_type,
        "sha256": sha256,
        "expires_at": null() if expires_in is None else func.now() + expires_in,
    }
    file = _write(session, {"id": uuid7(), "name": name, "by": by, **told}, told)
    if used_by:
        use(session, file.id, used_by)
    return file


def find(session: Session, file_id: UUID) -> File:
    """The file. Raises FileMissing if there is none, or it is being deleted."""
    return _found(session.scalar(_stored(file_id)), file_id)


def hold(session: Session, file_id: UUID) -> File:
    """The file, which is not deleted before the transaction ends. Raises FileMissing.

    For a transaction that submits a job with a reference to the file. Waits for one that is about
    to delete it.
    """
    return _found(session.scalar(_stored(file_id).with_for_update(read=True)), file_id)


def use(session: Session, file_id: UUID, used_by: str) -> File:
    """Keep the file for a business row, such as `image:<id>`, whatever its lifetime.

    Waits for a transaction that is about to delete the file. Raises FileMissing.
    """
    file = hold(session, file_id)
    row = {"file_id": file_id, "used_by": used_by}
    session.execute(insert(FileUse).values(row).on_conflict_do_nothing())
    return file


def release(session: Session, used_by: str) -> None:
    """Say that a business row needs its files no longer. It does not matter if it has none."""
    session.execute(delete(FileUse).where(FileUse.used_by == used_by))


def _stored(file_id: UUID) -> Select[File]:
    stored = select(File).where(File.id == file_id, File.state == FileState.STORED)
    return stored.execution_options(populate_existing=True)


def _found(file: File | None, file_id: UUID) -> File:
    if file is None:
        raise FileMissing(f"there is no file {file_id}")
    return file


def _write(session: Session, row: dict[str, Any], changes: dict[str, Any]) -> File:
    made = insert(File).values(row)
    written = made.on_conflict_do_update(
        index_elements=[File.name], set_=changes, where=File.state != FileState.DELETING
    ).returning(File)
    file = session.scalar(written, execution_options={"populate_existing": True})
    if file is None:
        raise FileIsGoing(f"{row['name']} is being deleted")
    return file
