"""The tables of files."""

from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column
from uuid_utils.compat import uuid7

from service.base import Base

UNSTORED = timedelta(days=1)
"""A reservation of that age was left by a process that died."""


class FileState(StrEnum):
    """What is true of a file's bytes."""

    STORING = "storing"
    """Some of them may be in the store. Nobody sees the file."""
    STORED = "stored"
    """All of them are in the store."""
    DELETING = "deleting"
    """They may be gone. Nobody sees the file any more."""


class File(Base):
    """A document with what is known of it, and for how long it is kept."""

    __tablename__ = "files"
    __table_args__ = (
        CheckConstraint("state IN ('storing', 'stored', 'deleting')", name="files_state"),
        Index("files_expiring", "expires_at", postgresql_where=text("state = 'stored'")),
        Index("files_unstored", "created_at", postgresql_where=text("state <> 'stored'")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    name: Mapped[str] = mapped_column(unique=True)
    """The document's name in the document store."""
    state: Mapped[str] = mapped_column(default=FileState.STORING)
    size: Mapped[int | None] = mapped_column(BigInteger)
    media_type: Mapped[str | None]
    sha256: Mapped[str | None]
    """In hexadecimal; None where nobody computed it."""
    by: Mapped[str | None]
    """Who brought the file, or what made it."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime | None]
    """The end of its lifetime; None if it is kept until somebody deletes it."""


class FileUse(Base):
    """A business row that needs a file, such as `image:<id>`: the file stays until it is released.

    Jobs have no rows here: see service/files/references.py.
    """

    __tablename__ = "file_uses"
    __table_args__ = (Index("file_uses_used_by_ix", "used_by"),)

    file_id: Mapped[UUID] = mapped_column(ForeignKey("files.id"), primary_key=True)
    used_by: Mapped[str] = mapped_column(primary_key=True)
