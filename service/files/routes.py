"""Handlers for files: large data that jobs refer to."""

from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from outbox import submit
from outbox.http.auth.record import WhyInQuery
from outbox.http.auth.scopes import Reader, Submitter
from outbox.http.openapi.response_docs import problem_docs, success_doc
from outbox.http.problems import types
from outbox.http.problems.problem import ANY_REQUEST, POST_REQUEST, Problem
from outbox.http.requests.database import Tx
from outbox.http.requests.transaction import TransactionalRoute
from outbox.operations import acts
from service.files import keeping, sweeping
from service.files.answer_examples import ANSWERS as ANSWERS
from service.files.content import send
from service.files.keeping import FileMissing
from service.files.kinds import SWEEP_FILES
from service.files.models import File
from service.files.references import kinds_with_files
from service.files.schemas import FileShown, file_path
from service.files.upload import BINARY, Uploaded, UploadRoute
from service.own_settings import OwnSettings
from service.subjects import KINDS

UPLOADS = (r"/v1/files",)
TEN_YEARS = 10 * 366 * 24 * 3600
NAMES = {"text/csv": ".csv", "application/pdf": ".pdf", "text/plain": ".txt"}

Lifetime = Annotated[
    int | None,
    Query(
        ge=60,
        le=TEN_YEARS,
        description="For how long the file is kept at least, `DULY_KEEP_FILES` without it.",
    ),
]

HERE: dict[str, Any] = {
    "prefix": "/v1/files",
    "tags": ["Files"],
    "responses": problem_docs(*ANY_REQUEST),
}
uploads = APIRouter(**HERE, route_class=UploadRoute)
files = APIRouter(**HERE, route_class=TransactionalRoute)


@uploads.post(
    "",
    status_code=201,
    summary="Upload a file",
    response_description="All bytes are stored, and so is what is known of them",
    responses=success_doc(201, "File", "Location") | problem_docs(*POST_REQUEST),
    openapi_extra=BINARY,
)
async def upload_file(
    upload: Uploaded,
    tx: Tx,
    own: OwnSettings,
    response: Response,
    _: Submitter,
    keep_seconds: Lifetime = None,
) -> FileShown:
    """The body is the file, up to `DULY_LARGEST_FILE`, and its Content-Type is the file's.

    It is stored while it arrives. Jobs refer to it by its id, and it is kept while one that may
    still run does.
    """
    asked = timedelta(seconds=keep_seconds) if keep_seconds else None
    file = await tx.run_sync(upload.keep, asked or own.keep_files)
    response.headers["Location"] = file_path(file.id)
    return FileShown.model_validate(file)


@files.get(
    "/{file_id}",
    summary="Get what is known of a file",
    responses=success_doc(200, "File") | problem_docs(types.NOT_FOUND),
)
async def get_file(file_id: UUID, tx: Tx, _: Reader) -> FileShown:
    """The file's size, media type, check sum and lifetime."""
    return FileShown.model_validate(await _get(tx, file_id))


@files.get(
    "/{file_id}/content",
    summary="Download a file",
    response_class=Response,
    responses={
        200: {"content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}},
        206: {"content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}},
        **problem_docs(types.NOT_FOUND, types.RANGE),
    },
)
async def get_file_content(file_id: UUID, tx: Tx, _: Reader, request: Request) -> Response:
    """The bytes, always as a download. A Range of one piece is answered with 206."""
    file = await _get(tx, file_id)
    name, media_type, tag = file.name, file.media_type or "", file.sha256
    await tx.close()  # return the connection first: the store may be slow
    file_name = f"{file_id}{NAMES.get(media_type, '')}"
    return await send(request, name, media_type, file_name=file_name, tag=tag)


@files.delete(
    "/{file_id}",
    status_code=204,
    summary="Delete a file",
    responses=problem_docs(types.NOT_FOUND, types.CONFLICT),
)
async def delete_file(file_id: UUID, tx: Tx, by: Submitter, why: WhyInQuery = None) -> None:
    """Nobody sees it from then on, and a job deletes its bytes. One that is needed stays: 409."""
    if await tx.run_sync(sweeping.lock, file_id) is None:
        raise Problem(types.NOT_FOUND, f"there is no file {file_id}")
    if not await tx.run_sync(sweeping.let_go, [file_id], kinds_with_files(KINDS.values())):
        raise Problem(types.CONFLICT, "a job that may still run, or something else, needs the file")
    submit(tx, SWEEP_FILES(), by=str(by))
    await tx.run_sync(acts.record, "file-delete", [f"file:{file_id}"], who=str(by), why=why)


async def _get(tx: Tx, file_id: UUID) -> File:
    try:
        return await tx.run_sync(keeping.find, file_id)
    except FileMissing as error:
        raise Problem(types.NOT_FOUND, str(error)) from None


router = APIRouter()
router.include_router(uploads)
router.include_router(files)
