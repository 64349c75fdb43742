"""Moves an import from state to state. All of it happens in the session's transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from outbox import batch, submit
from service.files.keeping import release
from service.imports.kinds import FINISH_IMPORT, RUN_IMPORT
from service.imports.lifetimes import UPLOAD_LIFETIME
from service.imports.models import Import, ImportChunk, ImportPart, State


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows of an import: read, and with what outcome."""

    rows: int
    good: int
    bad: int


def counts(session: Session, import_ids: Sequence[UUID]) -> dict[UUID, Counts]:
    """The counts of these imports so far."""
    chunk = ImportChunk
    sums = (func.coalesce(func.sum(each), 0) for each in (chunk.rows, chunk.good, chunk.bad))
    found = select(chunk.import_id, *sums).where(chunk.import_id.in_(import_ids))
    rows = session.execute(found.group_by(chunk.import_id))
    by_id = {row[0]: Counts(*map(int, row[1:])) for row in rows}
    return {each: by_id.get(each, Counts(0, 0, 0)) for each in import_ids}


def begin_upload(session: Session, import_id: UUID, _at: int, size: int | None) -> bool:
    """Forget what was uploaded: it begins anew. Returns False if the upload is over."""
    values = {"received": 0, "begun": Import.begun + 1, "size": func.coalesce(Import.size, size)}
    if not _change_upload(session, import_id, values):
        return False
    session.execute(delete(ImportPart).where(ImportPart.import_id == import_id))
    release(session, f"import:{import_id}")
    return True


def continue_upload(session: Session, import_id: UUID, at: int, size: int | None) -> bool:
    """Go on where it is, now that its size may be known.

    Returns False if the upload is over, or is not there.
    """
    values = {"size": func.coalesce(Import.size, size)}
    if not _change_upload(session, import_id, values, received=at):
        return False
    _run_if_complete(session, import_id)
    return True


def add_part(session: Session, part: ImportPart, begun: int) -> bool:
    """Note that the part is stored. Returns False if the upload is over, or went on otherwise.

    With the last byte of a size that is known, the import runs.
    """
    values = {"received": part.begin + part.size}
    if not _change_upload(session, part.import_id, values, received=part.begin, begun=begun):
        return False
    session.add(part)
    _run_if_complete(session, part.import_id)
    return True


def run(session: Session, upload: Import) -> None:
    """The file is there: submit the job that reads it, and what follows once all has ended.

    The chunks join the batch while that job runs. So however jobs end, the last one is followed by
    `import.finish`.
    """
    upload.state, upload.size = State.RUNNING, upload.received
    follow = FINISH_IMPORT(import_id=upload.id)
    with batch(session, on_settled=follow, subject=upload.subject, by=upload.created_by) as group:
        work = RUN_IMPORT(import_id=upload.id)
        submit(session, work, subject=upload.subject, by=upload.created_by)
    upload.batch_id = group.id


def batch_of(each: Import) -> UUID:
    """The batch of an import that runs."""
    if each.batch_id is None:
        raise RuntimeError(f"the import {each.id} has not been submitted")
    return each.batch_id


def give_up(session: Session, upload: Import, state: State) -> None:
    """End an upload that is not complete. Its parts are deleted."""
    upload.state, upload.ended_at = state, func.now()
    release(session, upload.subject)


def _run_if_complete(session: Session, import_id: UUID) -> None:
    upload = session.get_one(Import, import_id, populate_existing=True)
    if upload.received == upload.size:
        run(session, upload)


def _change_upload(
    session: Session, import_id: UUID, values: dict[str, Any], **expected: int
) -> bool:
    """Change an import that is uploading, and whose columns are as expected."""
    values["expires_at"] = func.now() + UPLOAD_LIFETIME
    change = update(Import).where(Import.id == import_id, Import.state == State.UPLOADING)
    changed = change.filter_by(**expected).values(values).returning(Import.id)
    return session.scalar(changed, execution_options={"synchronize_session": False}) is not None
