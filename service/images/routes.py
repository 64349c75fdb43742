"""Handlers for images: what was sent, and the versions that a job makes of it."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Request, Response
from sqlalchemy import select
from sqlalchemy.orm import selectinload

from outbox import submit
from outbox.http.auth.scopes import Reader, Submitter
from outbox.http.openapi.response_docs import problem_docs, success_doc
from outbox.http.problems import types
from outbox.http.problems.problem import ANY_REQUEST, POST_REQUEST, Problem
from outbox.http.requests.database import Tx
from outbox.http.requests.transaction import TransactionalRoute
from outbox.operations import jobs
from outbox.operations.jobs import JobFilter
from service.files import keeping
from service.files.content import send
from service.files.keeping import WHILE_USED, FileMissing
from service.files.upload import BINARY, Uploaded, UploadRoute
from service.images.answer_examples import ANSWERS as ANSWERS
from service.images.kinds import PROCESS_IMAGE
from service.images.models import Image, ImageVersion
from service.images.schemas import ImageShown, image_path
from service.images.versions import LARGEST_SENT, MEDIA_TYPES, Format, Size
from service.settings import Settings

UPLOADS = (r"/v1/images",)
PIXELS = {"schema": {"type": "string", "format": "binary"}}


class ImageUpload(UploadRoute):
    """Takes an image of up to `LARGEST_SENT` bytes."""

    @staticmethod
    def largest(settings: Settings) -> int:
        """The largest body in bytes."""
        return min(settings.largest_file, LARGEST_SENT)


HERE: dict[str, Any] = {
    "tags": ["Images"],
    "responses": problem_docs(*ANY_REQUEST),
}
uploads = APIRouter(**HERE, prefix="/v1/images", route_class=ImageUpload)
images = APIRouter(**HERE, prefix="/v1/images", route_class=TransactionalRoute)
of_files = APIRouter(**HERE, prefix="/v1/files", route_class=TransactionalRoute)


@uploads.post(
    "",
    status_code=201,
    summary="Send an image",
    response_description="The image is stored, and so is the job that makes its versions",
    responses=success_doc(201, "NewImage", "Location") | problem_docs(*POST_REQUEST),
    openapi_extra=BINARY,
)
async def create_image(upload: Uploaded, tx: Tx, by: Submitter, response: Response) -> ImageShown:
    """The body is the image, up to 64 MB: JPEG, PNG, GIF, WebP, AVIF or TIFF.

    A job makes three sizes of it in AVIF and in WebP, upright, in sRGB and without EXIF. What was
    sent is deleted once the job has ended.
    """
    # Only until its job has ended: what was sent may show where a picture was taken.
    file = await tx.run_sync(upload.keep, WHILE_USED)
    return await _create(tx, file.id, str(by), response)


@of_files.post(
    "/{file_id}/image",
    status_code=201,
    summary="Make an image of a file",
    response_description="The image is stored, and so is the job that makes its versions",
    responses=success_doc(201, "NewImage", "Location")
    | problem_docs(types.NOT_FOUND, *POST_REQUEST),
)
async def create_image_from_file(
    file_id: UUID, tx: Tx, by: Submitter, response: Response
) -> ImageShown:
    """As if the file were sent as an image. It is kept for as long as it would be anyway."""
    try:
        await tx.run_sync(keeping.hold, file_id)
    except FileMissing as error:
        raise Problem(types.NOT_FOUND, str(error)) from None
    return await _create(tx, file_id, str(by), response)


@images.get(
    "/{image_id}",
    summary="Get an image",
    responses=success_doc(200, "Image") | problem_docs(types.NOT_FOUND),
)
async def get_image(image_id: UUID, tx: Tx, _: Reader) -> ImageShown:
    """What is known of the image, with its versions and its job."""
    image = await _get(tx, image_id)
    its_jobs = await tx.run_sync(jobs.find, JobFilter(subject=image.subject))
    return ImageShown.of(image, its_jobs)


@images.get(
    "/{image_id}/{size}.{format}",
    summary="Get a version of an image",
    response_class=Response,
    responses={
        200: {"content": dict.fromkeys(MEDIA_TYPES.values(), PIXELS)},
        206: {"content": dict.fromkeys(MEDIA_TYPES.values(), PIXELS)},
        **problem_docs(types.NOT_FOUND, types.NOT_READY, types.RANGE),
    },
)
async def get_image_version(
    image_id: UUID,
    size: Size,
    format_: Annotated[Format, Path(alias="format")],
    tx: Tx,
    _: Reader,
    request: Request,
) -> Response:
    """The bytes of one size in one format. Until the job has ended, 404 with Retry-After."""
    image = await _get(tx, image_id)
    found = [each for each in image.versions if (each.size, each.format) == (size, format_)]
    if not found:
        raise _without_versions(image)
    file = found[0].file
    name, tag = file.name, file.sha256
    await tx.close()  # return the connection first: the store may be slow
    file_name = f"{image_id}-{size}.{format_}"
    return await send(request, name, MEDIA_TYPES[format_], file_name=file_name, tag=tag)


@images.delete(
    "/{image_id}",
    status_code=204,
    summary="Delete an image",
    responses=problem_docs(types.NOT_FOUND),
)
async def delete_image(image_id: UUID, tx: Tx, _: Submitter) -> None:
    """Its versions are deleted within the hour. A job that still waits does nothing."""
    image = await _get(tx, image_id, locked=True)
    await tx.run_sync(keeping.release, image.subject)
    await tx.delete(image)


async def _create(tx: Tx, file_id: UUID, by: str, response: Response) -> ImageShown:
    image = Image(versions=[])
    tx.add(image)
    await tx.flush()
    await tx.refresh(image, ["created_at"])
    work = PROCESS_IMAGE(image_id=image.id, file_id=file_id)
    job = submit(tx, work, subject=image.subject, by=by)
    response.headers["Location"] = image_path(image.id)
    return ImageShown.of(image, [job])


async def _get(tx: Tx, image_id: UUID, *, locked: bool = False) -> Image:
    with_files = selectinload(Image.versions).joinedload(ImageVersion.file)
    query = select(Image).options(with_files).where(Image.id == image_id)
    image = await tx.scalar(query.with_for_update() if locked else query)
    if image is None:
        raise Problem(types.NOT_FOUND, f"there is no image {image_id}")
    return image


def _without_versions(image: Image) -> Problem:
    if image.why:
        return Problem(types.NOT_FOUND, f"the image was refused: {image.why}")
    detail = "the image has not been processed yet"
    return Problem(types.NOT_READY, detail, headers={"Retry-After": "1"})


router = APIRouter()
router.include_router(uploads)
router.include_router(images)
router.include_router(of_files)
