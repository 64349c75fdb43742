"""Images in requests and responses of the API."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from pydantic import BaseModel

from outbox import SubmittedJob
from outbox.http.routes.jobs.schemas import JobSummary
from outbox.operations.jobs import JobRecord
from service.images.models import Image, ImageState, ImageVersion
from service.images.versions import Format, Size


class VersionShown(BaseModel):
    """One size of an image in one format."""

    size: Size
    format: Format
    width: int
    height: int
    bytes: int
    link: str

    @classmethod
    def of(cls, version: ImageVersion) -> "VersionShown":
        """The version with its address."""
        return cls(
            size=version.size,
            format=version.format,
            width=version.width,
            height=version.height,
            bytes=version.file.size or 0,
            link=f"{image_path(version.image_id)}/{version.size}.{version.format}",
        )


class ImageShown(BaseModel):
    """An image. While it is `waiting` it has no versions; if it is `refused`, `why` says why.

    `width` and `height` are those of the image that was sent, as it is shown.
    """

    id: UUID
    state: ImageState
    why: str | None
    width: int | None
    height: int | None
    created_at: datetime
    versions: list[VersionShown]
    jobs: list[JobSummary]
    links: dict[str, str]

    @classmethod
    def of(cls, image: Image, jobs: Iterable[JobRecord | SubmittedJob]) -> "ImageShown":
        """The image with its versions and its job."""
        return cls(
            id=image.id,
            state=ImageState(image.state),
            why=image.why,
            width=image.width,
            height=image.height,
            created_at=image.created_at,
            versions=[VersionShown.of(version) for version in image.versions],
            jobs=[JobSummary.brief(job) for job in jobs],
            links={"self": image_path(image.id)},
        )


def image_path(image_id: UUID) -> str:
    """The path of the image's URL."""
    return f"/v1/images/{image_id}"
