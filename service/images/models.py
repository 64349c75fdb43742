"""The tables of images."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Text, func
from sqlalchemy.orm import Mapped, mapped_column, relationship
from uuid_utils.compat import uuid7

from service.base import Base
from service.files.models import File
from service.images.versions import Format, Size


class ImageState(StrEnum):
    """How far an image is."""

    WAITING = "waiting"
    """Its job has not ended."""
    READY = "ready"
    """All versions are there."""
    REFUSED = "refused"
    """It cannot be processed, and `why` says what is wrong with it."""


class Image(Base):
    """An image that somebody sent. The file that was sent is not kept once its job has ended."""

    __tablename__ = "images"
    __table_args__ = (
        CheckConstraint("state IN ('waiting', 'ready', 'refused')", name="images_state"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    state: Mapped[str] = mapped_column(default=ImageState.WAITING)
    why: Mapped[str | None]
    width: Mapped[int | None]
    """As it is shown, after its orientation was applied."""
    height: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    versions: Mapped[list["ImageVersion"]] = relationship(
        order_by="(ImageVersion.width.desc(), ImageVersion.format)", cascade="all, delete-orphan"
    )

    @property
    def subject(self) -> str:
        """The subject of the image's job, and what its files are used by."""
        return f"image:{self.id}"


class ImageVersion(Base):
    """One size of an image in one format: a file."""

    __tablename__ = "image_versions"

    image_id: Mapped[UUID] = mapped_column(ForeignKey("images.id"), primary_key=True)
    size: Mapped[Size] = mapped_column(Text, primary_key=True)
    format: Mapped[Format] = mapped_column(Text, primary_key=True)
    width: Mapped[int]
    height: Mapped[int]
    file_id: Mapped[UUID] = mapped_column(ForeignKey("files.id"))
    file: Mapped[File] = relationship()
