"""The tables of imports, and of the charges that they bring."""

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Numeric, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column
from uuid_utils.compat import uuid7

from service.base import Base


class State(StrEnum):
    """Where an import stands."""

    UPLOADING = "uploading"
    RUNNING = "running"
    FINISHED = "finished"
    """All rows were read; the bad ones are in a file."""
    REFUSED = "refused"
    """The file cannot be read, or not to its end: see `reason`."""
    FAILED = "failed"
    """A job is dead. Once it has been replayed, the import ends in another way."""
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    """Nobody continued the upload."""


class Import(Base):
    """A file with charges, from the first byte to the last row."""

    __tablename__ = "imports"
    __table_args__ = (
        CheckConstraint(f"state IN {tuple(map(str, State))}", name="imports_state"),
        Index("imports_uploading", "expires_at", postgresql_where=text("state = 'uploading'")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    file: Mapped[str]
    """Its name, for people."""
    size: Mapped[int | None] = mapped_column(BigInteger)
    """None until the client has said it."""
    received: Mapped[int] = mapped_column(BigInteger, default=0)
    """Bytes that are in the store: where the upload goes on."""
    begun: Mapped[int] = mapped_column(default=0)
    """How often a PUT began the upload anew: parts of an earlier request are refused."""
    options: Mapped[dict[str, Any]] = mapped_column(JSONB)
    state: Mapped[str] = mapped_column(default=State.UPLOADING)
    found: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    """What sort of file it is, as `import.run` found out."""
    reason: Mapped[str | None]
    """Why the file was refused."""
    bytes_read: Mapped[int] = mapped_column(BigInteger, default=0)
    batch_id: Mapped[UUID | None]
    bad_rows: Mapped[str | None]
    """The name of the document with the bad rows."""
    created_by: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime]
    """When the upload is given up, unless more comes."""
    ended_at: Mapped[datetime | None]

    @property
    def subject(self) -> str:
        """The subject of its jobs, and the user of its files."""
        return f"import:{self.id}"


class ImportPart(Base):
    """A part of the uploaded file, in a document of its own."""

    __tablename__ = "import_parts"

    import_id: Mapped[UUID] = mapped_column(ForeignKey("imports.id"), primary_key=True)
    begin: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    """Where in the file it begins."""
    size: Mapped[int]
    name: Mapped[str]
    """The document's."""


class ImportChunk(Base):
    """Some rows of an import, which one job loads. Its counts are there once that is done."""

    __tablename__ = "import_chunks"

    import_id: Mapped[UUID] = mapped_column(ForeignKey("imports.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    """The document with the rows."""
    rows: Mapped[int]
    good: Mapped[int | None]
    bad: Mapped[int | None]
    bad_rows: Mapped[str | None]
    """The document with the bad rows; None if there is none."""


class Charge(Base):
    """Something that a customer has to pay for, and that an invoice can be made of.

    It is the row of an import at a line, and there is one for each. There is no foreign key: each
    row would pay for its check, and no import is deleted.
    """

    __tablename__ = "charges"

    import_id: Mapped[UUID] = mapped_column(primary_key=True)
    line: Mapped[int] = mapped_column(primary_key=True)
    customer: Mapped[str]
    email: Mapped[str]
    description: Mapped[str]
    quantity: Mapped[Decimal] = mapped_column(Numeric(14, 4))
    unit_price: Mapped[Decimal] = mapped_column(Numeric(14, 4))
    currency: Mapped[str]
    date: Mapped[date]
    reference: Mapped[str | None]
