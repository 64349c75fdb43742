"""Makes the versions of an image that somebody sent."""

import hashlib
from collections.abc import Iterable
from uuid import UUID

from sqlalchemy.orm import Session

from actors.imaging.opening import Refused, opened
from actors.imaging.versions import Picture, Version, decoded, versions
from outbox import Job, actor
from service.documents.store import documents
from service.files.keeping import WHILE_USED, find, keep, reserve
from service.files.models import File
from service.images.kinds import PROCESS_IMAGE, ProcessImage
from service.images.models import Image, ImageState, ImageVersion
from service.images.versions import LARGEST_SENT, MEDIA_TYPES
from service.settings import settings


@actor(PROCESS_IMAGE)
def process(work: ProcessImage, job: Job) -> None:
    """Store all versions, then make the image ready in the commit that completes the job.

    An image that cannot be processed is refused, which is no failure: another attempt would end
    the same. If the process dies before the commit, nobody sees any version, and the next attempt
    stores the same bytes by the same names. Raises FileMissing if the file is gone.
    """
    with job.sessions() as session:
        file = find(session, work.file_id)
    try:
        picture = _decoded(file)
    except Refused as error:
        _refuse(job, work.image_id, str(error))
        return
    made = _stored(job, work.image_id, picture)
    with job.transaction() as session:
        if image := session.get(Image, work.image_id, with_for_update=True):
            job.result = {"versions": len(made), "bytes": sum(len(each.content) for each in made)}
            _finish(session, image, picture, made)


def _decoded(file: File) -> Picture:
    if (file.size or 0) > LARGEST_SENT:
        raise Refused(f"it has {file.size} bytes, and {LARGEST_SENT} are allowed")
    content = documents().get(file.name)
    return decoded(opened(content, file.media_type or "", settings().largest_image))


def _refuse(job: Job, image_id: UUID, why: str) -> None:
    with job.transaction() as session:
        job.result = {"refused": why}
        if image := session.get(Image, image_id, with_for_update=True):
            image.state, image.why = ImageState.REFUSED, why


def _stored(job: Job, image_id: UUID, picture: Picture) -> list[Version]:
    """All versions, whose documents are stored; until the job's end they are only reserved."""
    made = list(versions(picture))
    with job.sessions() as session, session.begin():
        for each in made:
            reserve(session, name=_name(image_id, each), by=f"job:{job.id}")
    for each in made:
        _store(_name(image_id, each), each)
    return made


def _store(name: str, version: Version) -> None:
    documents().put(name, version.content)


def _finish(session: Session, image: Image, picture: Picture, made: Iterable[Version]) -> None:
    image.state, image.width, image.height = ImageState.READY, picture.width, picture.height
    for each in made:
        file = keep(
            session,
            _name(image.id, each),
            size=len(each.content),
            media_type=MEDIA_TYPES[each.format],
            sha256=hashlib.sha256(each.content).hexdigest(),
            expires_in=WHILE_USED,
            used_by=image.subject,
        )
        shape = {"width": each.width, "height": each.height}
        row = ImageVersion(size=each.size, format=each.format, file_id=file.id, **shape)
        image.versions.append(row)


def _name(image_id: UUID, version: Version) -> str:
    return f"images/{image_id}/{version.size}.{version.format}"


ACTORS = (process,)
