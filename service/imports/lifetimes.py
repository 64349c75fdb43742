"""For how long an import's documents are kept, and whose time is over."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import Text, cast, func, or_, select
from sqlalchemy.orm import Session

from service.files.models import FileUse
from service.imports.models import Import, State

UPLOAD_LIFETIME = timedelta(days=1)
"""How long an upload waits for more."""
BAD_ROWS_LIFETIME = timedelta(days=30)
FAILED_LIFETIME = timedelta(days=30)
"""How long the file of a failed import is there for a replay of its dead jobs."""
MOST = 500
"""Imports in one transaction."""


def expired(session: Session) -> Sequence[Import]:
    """Uploads that nobody continued, and imports that failed long ago and keep documents; locked.

    What is locked by somebody else is passed by: it goes on.
    """
    user = func.concat("import:", cast(Import.id, Text))
    failed = (
        (Import.state == State.FAILED)
        & (Import.ended_at <= func.now() - FAILED_LIFETIME)
        & select(FileUse).where(FileUse.used_by == user).exists()
    )
    left = (Import.state == State.UPLOADING) & (Import.expires_at <= func.now())
    found = select(Import).where(or_(left, failed)).limit(MOST)
    return session.scalars(found.with_for_update(skip_locked=True)).all()
