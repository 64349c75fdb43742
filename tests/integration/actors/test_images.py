"""An image's job: its versions and its row, in one commit, or a refusal."""

from datetime import timedelta
from io import BytesIO
from uuid import UUID, uuid4

import psycopg
import pytest
from PIL import Image as Pixels
from sqlalchemy.orm import Session

from actors import ACTORS
from outbox import Superseded
from outbox.operations import jobs
from service.documents.store import documents
from service.files.keeping import FileMissing, keep
from service.files.models import File, FileUse
from service.images.kinds import PROCESS_IMAGE, ProcessImage
from service.images.models import Image
from service.images.versions import LARGEST_SENT
from tests.integration.actors.conftest import Claim, Configure, next_attempt

process = ACTORS["image.process"].function


def sent(
    session: Session, content: bytes, media_type: str = "image/png", **told: int
) -> ProcessImage:
    """What a handler leaves of an image: its row, the file, and the work."""
    name = f"files/{uuid4()}"
    documents().put(name, content)
    size = told.get("size", len(content))
    file = keep(session, name, size=size, media_type=media_type, expires_in=timedelta())
    session.add(image := Image())
    session.commit()
    return ProcessImage(image_id=image.id, file_id=file.id)


def run(claim: Claim, work: ProcessImage) -> UUID:
    job = claim(PROCESS_IMAGE(image_id=work.image_id, file_id=work.file_id))
    process(work, job)
    return job.id


def picture(width: int = 1000, height: int = 500) -> bytes:
    content = BytesIO()
    Pixels.new("RGB", (width, height), (200, 30, 30)).save(content, "PNG")
    return content.getvalue()


def test_three_sizes_in_two_formats_are_stored(claim: Claim, session: Session) -> None:
    work = sent(session, picture())
    job_id = run(claim, work)
    image = session.get_one(Image, work.image_id)
    assert (image.state, image.width, image.height) == ("ready", 1000, 500)
    assert [(each.size, each.format, each.width, each.height) for each in image.versions] == [
        ("large", "avif", 1000, 500),
        ("large", "webp", 1000, 500),
        ("medium", "avif", 800, 400),
        ("medium", "webp", 800, 400),
        ("small", "avif", 200, 100),
        ("small", "webp", 200, 100),
    ]
    for each in image.versions:
        content = documents().get(f"images/{image.id}/{each.size}.{each.format}")
        assert Pixels.open(BytesIO(content)).size == (each.width, each.height)
        assert (each.file.size, each.file.media_type) == (len(content), f"image/{each.format}")
    assert {use.used_by for use in session.query(FileUse)} == {image.subject}
    record = jobs.get(session, job_id)
    assert record is not None
    assert record.result["versions"] == 6


def test_what_cannot_be_processed_is_refused_and_never_retried(
    claim: Claim, session: Session
) -> None:
    work = sent(session, picture()[:-60])
    record = jobs.get(session, run(claim, work))
    image = session.get_one(Image, work.image_id)
    assert (image.state, image.versions) == ("refused", [])
    assert image.why == record.result["refused"]  # type: ignore[union-attr]
    assert "cut off or damaged" in (image.why or "")
    assert record.state == "succeeded"  # type: ignore[union-attr]


def test_an_image_has_limits(claim: Claim, session: Session, configure: Configure) -> None:
    configure(largest_image=10_000)
    many_pixels = sent(session, picture(101, 100))
    many_bytes = sent(session, b"", size=LARGEST_SENT + 1)
    for work, why in ((many_pixels, "101 x 100 pixels"), (many_bytes, "are allowed")):
        run(claim, work)
        assert why in (session.get_one(Image, work.image_id).why or "")


def test_a_worker_that_was_replaced_shows_nobody_anything_and_the_next_stores_the_same(
    claim: Claim, session: Session, sql_now: psycopg.Connection
) -> None:
    work = sent(session, picture())
    job = claim(PROCESS_IMAGE(image_id=work.image_id, file_id=work.file_id))
    sql_now.execute("UPDATE duly.jobs SET dispatch = 2, attempt = 2 WHERE id = %s", [job.id])
    with pytest.raises(Superseded):
        process(work, job)
    image = session.get_one(Image, work.image_id)
    assert (image.state, image.versions) == ("waiting", [])
    names = [file.name for file in session.query(File).filter(File.state == "storing")]
    first = {name: documents().get(name) for name in names}
    assert len(first) == 6
    session.rollback()
    process(work, next_attempt(job))
    session.refresh(image)
    assert (image.state, len(image.versions)) == ("ready", 6)
    assert {name: documents().get(name) for name in names} == first
    assert session.query(File).filter(File.state == "storing").all() == []


def test_an_image_that_was_deleted_meanwhile_is_nobodys_failure(
    claim: Claim, session: Session
) -> None:
    work = sent(session, picture(20, 20))
    session.delete(session.get_one(Image, work.image_id))
    session.commit()
    record = jobs.get(session, run(claim, work))
    assert record is not None
    assert record.state == "succeeded"
    assert session.query(FileUse).all() == []


def test_a_file_that_is_gone_is_final(claim: Claim, session: Session) -> None:
    work = ProcessImage(image_id=uuid4(), file_id=uuid4())
    with pytest.raises(FileMissing) as gone:
        run(claim, work)
    assert not PROCESS_IMAGE.retry.allows(gone.value)
