"""Handlers for an import's bytes: a PUT of all of them, or PATCHes that can be resumed.

PATCH and HEAD are those of tus 1.0.0 (tus.io), whose clients resume an upload by its URL.
"""

from datetime import UTC
from email.utils import format_datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Header, Request, Response

from outbox.http.auth.scopes import Submitter
from outbox.http.openapi.response_docs import problem_docs, success_doc
from outbox.http.problems import types
from outbox.http.problems.problem import Problem
from outbox.http.requests.database import Tx
from service.imports import states
from service.imports.models import Import, State
from service.imports.receiving import MEDIA_TYPE, conflict
from service.imports.router import router
from service.imports.schemas import ImportShown, PartReceived

UPLOADS = (r"/v1/imports/[^/]+/content",)
"""Paths whose bodies may be large: see outbox/http/server/body_limit.py."""
VERSION = "1.0.0"
BYTES = r"^[0-9]{1,15}$"
PROBLEMS = problem_docs(
    types.BAD_REQUEST,
    types.NOT_FOUND,
    types.TOO_SLOW,
    types.CONFLICT,
    types.TOO_LARGE,
    types.OUTCOME_UNKNOWN,
)


BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
    }
}
"""For FastAPI's `openapi_extra`: the body is bytes. The media type of tus is as good as any."""


@router.get(
    "/{import_id}/content",
    summary="Get how much of a file has been received",
    responses=success_doc(200, "ImportReceived") | problem_docs(types.NOT_FOUND),
)
async def get_received(import_id: UUID, tx: Tx, _: Submitter, response: Response) -> PartReceived:
    """Where the upload goes on. The headers are those of tus 1.0.0, also for HEAD."""
    found = await find_import(tx, import_id)
    _tell(found, response)
    response.headers["Cache-Control"] = "no-store"
    return PartReceived(received=found.received, size=found.size)


@router.put(
    "/{import_id}/content",
    summary="Upload a file to import in one request",
    responses=success_doc(200, "ImportRunning") | PROBLEMS,
    openapi_extra=BODY,
)
async def upload_content(
    import_id: UUID, tx: Tx, _: Submitter, request: Request, response: Response
) -> ImportShown:
    """All bytes of the file. If it breaks off, go on with PATCH, or begin anew with PUT."""
    found = await find_import(tx, import_id, lock=True)
    if found.state == State.UPLOADING:
        if found.begun != request.state.begun:  # by another request: what is there is not this file
            raise conflict(found.received)
        if found.size not in (None, found.received):
            detail = f"{found.received} of {found.size} bytes have arrived: go on with PATCH"
            raise Problem(types.CONFLICT, detail)
        await tx.run_sync(states.run, found)
        await tx.flush()
        await tx.refresh(found)
    _tell(found, response)
    counts = await tx.run_sync(states.counts, [found.id])
    return ImportShown.of(found, counts[found.id])


@router.patch(
    "/{import_id}/content",
    status_code=204,
    summary="Upload the next part of a file to import",
    responses=PROBLEMS,
    openapi_extra=BODY,
)
async def upload_part(
    import_id: UUID,
    tx: Tx,
    _: Submitter,
    response: Response,
    upload_offset: Annotated[  # noqa: ARG001 - read by the route
        str, Header(pattern=BYTES, description="How many bytes are before this part.")
    ],
    upload_length: Annotated[  # noqa: ARG001
        str | None, Header(pattern=BYTES, description="The size of the file, once it is known.")
    ] = None,
) -> None:
    """As in tus 1.0.0: what arrives is kept, also of a request that breaks off.

    Ask for `Upload-Offset` by HEAD, and go on from there. The import runs once all bytes are there.
    """
    _tell(await find_import(tx, import_id), response)


async def find_import(tx: Tx, import_id: UUID, *, lock: bool = False) -> Import:
    """The import. Raises `Problem` 404."""
    found = await tx.get(Import, import_id, with_for_update=lock or None)
    if found is None:
        raise Problem(types.NOT_FOUND, f"there is no import {import_id}")
    return found


def _tell(found: Import, response: Response) -> None:
    """Where the upload stands, as tus has it."""
    headers = {"Tus-Resumable": VERSION, "Upload-Offset": str(found.received)}
    if found.size is None:
        headers["Upload-Defer-Length"] = "1"
    else:
        headers["Upload-Length"] = str(found.size)
    if found.state == State.UPLOADING:
        headers["Upload-Expires"] = format_datetime(found.expires_at.astimezone(UTC), usegmt=True)
    response.headers.update(headers)
