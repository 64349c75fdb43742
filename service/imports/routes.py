"""Handlers for imports: make one, look at it, cancel it. Its bytes come by upload_routes.py."""

from typing import Annotated
from uuid import UUID

from fastapi import Body, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from sqlalchemy import func, select

from outbox.http.auth.record import WhyInBody
from outbox.http.auth.scopes import Operator, Reader, Submitter
from outbox.http.openapi.response_docs import problem_docs, success_doc
from outbox.http.problems import types
from outbox.http.problems.problem import POST_REQUEST, Problem
from outbox.http.requests.database import Tx
from outbox.http.routes import cursors
from outbox.http.routes.cursors import Cursor, Limit
from outbox.operations import acts, batches
from service.documents.store import DocumentMissing, parts
from service.imports import states
from service.imports.answer_examples import ANSWERS as ANSWERS
from service.imports.examples import NEW_IMPORTS
from service.imports.lifetimes import UPLOAD_LIFETIME
from service.imports.models import Import, State
from service.imports.receiving import too_large
from service.imports.router import router as router
from service.imports.schemas import ImportPage, ImportShown, NewImport, import_path
from service.imports.upload_routes import UPLOADS as UPLOADS
from service.imports.upload_routes import find_import
from service.own_settings import OwnSettings


@router.post(
    "",
    status_code=201,
    summary="Begin an import",
    responses=success_doc(201, "ImportMade", "Location") | problem_docs(*POST_REQUEST),
)
async def create_import(
    new: Annotated[NewImport, Body(openapi_examples=NEW_IMPORTS)],
    tx: Tx,
    by: Submitter,
    own: OwnSettings,
    response: Response,
) -> ImportShown:
    """Announce a CSV or XLSX file with charges. Send its bytes to `links.content`, then it runs."""
    if new.size and new.size > own.largest_import:
        raise too_large(own.largest_import)
    made = Import(
        file=new.file,
        size=new.size,
        options=new.options.model_dump(exclude_none=True),
        created_by=str(by),
        expires_at=func.now() + UPLOAD_LIFETIME,
    )
    tx.add(made)
    await tx.flush()
    await tx.refresh(made)
    response.headers["Location"] = import_path(made.id)
    return await _shown(tx, made)


@router.get(
    "",
    summary="List imports",
    responses=success_doc(200, "ImportPage") | problem_docs(types.BAD_CURSOR),
)
async def list_imports(tx: Tx, _: Reader, limit: Limit = 50, cursor: Cursor = None) -> ImportPage:
    """Imports, newest first."""
    query = select(Import).order_by(Import.id.desc()).limit(limit + 1)
    if before := cursors.read(cursor, "imports", UUID):
        query = query.where(Import.id < before)
    rows, next_cursor = cursors.page((await tx.scalars(query)).all(), "imports", limit)
    counts = await tx.run_sync(states.counts, [each.id for each in rows])
    shown = [ImportShown.of(each, counts[each.id]) for each in rows]
    return ImportPage(imports=shown, next_cursor=next_cursor)


@router.get(
    "/{import_id}",
    summary="Get an import",
    responses=success_doc(200, "ImportShown") | problem_docs(types.NOT_FOUND),
)
async def get_import(import_id: UUID, tx: Tx, _: Reader) -> ImportShown:
    """An import, with how far it is."""
    return await _shown(tx, await find_import(tx, import_id))


@router.get(
    "/{import_id}/bad-rows",
    summary="Get the bad rows of an import",
    response_class=Response,
    responses={
        200: {"content": {"text/csv": {"schema": {"type": "string", "format": "binary"}}}},
        **problem_docs(types.NOT_FOUND, types.NOT_READY),
    },
)
async def get_bad_rows(import_id: UUID, tx: Tx, _: Reader, request: Request) -> Response:
    """CSV with line, field, reason and value, for a spreadsheet: no value of it is a formula.

    It is kept for 30 days. 404 if no row was bad, and with Retry-After while the import runs.
    """
    found = await find_import(tx, import_id)
    if found.state in (State.UPLOADING, State.RUNNING):
        raise Problem(types.NOT_READY, "the import has not ended", headers={"Retry-After": "5"})
    if found.bad_rows is None:
        raise Problem(types.NOT_FOUND, "the import has no bad rows")
    name, documents = found.bad_rows, request.app.state.documents
    await tx.close()  # return the connection first: the client may be slow
    try:
        file = await run_in_threadpool(documents.open, name)
    except DocumentMissing:
        raise Problem(types.NOT_FOUND, "the file of bad rows was kept for 30 days") from None
    return StreamingResponse(
        parts(file),
        media_type="text/csv",
        headers={
            "Content-Disposition": f'attachment; filename="bad-rows-{import_id}.csv"',
            "X-Content-Type-Options": "nosniff",
        },
    )


@router.post(
    "/{import_id}/cancel",
    summary="Cancel an import",
    responses=success_doc(200, "ImportRunning")
    | problem_docs(types.NOT_FOUND, types.CONFLICT, *POST_REQUEST),
)
async def cancel_import(import_id: UUID, tx: Tx, by: Operator, why: WhyInBody) -> ImportShown:
    """Give the upload up, or cancel its jobs: it is `cancelled` once those that run have ended.

    Charges that are there by then stay, and are those of a cancelled import.
    """
    found = await find_import(tx, import_id, lock=True)
    if found.state == State.UPLOADING:
        await tx.run_sync(states.give_up, found, State.CANCELLED)
        await tx.run_sync(acts.record, "import-cancel", [found.subject], who=str(by), why=why)
    elif found.state == State.RUNNING and found.batch_id:
        await tx.run_sync(batches.cancel, found.batch_id, by=str(by), why=why)
    else:
        raise Problem(types.CONFLICT, f"the import is {found.state} already")
    await tx.flush()
    await tx.refresh(found)
    return await _shown(tx, found)


async def _shown(tx: Tx, each: Import) -> ImportShown:
    counts = await tx.run_sync(states.counts, [each.id])
    return ImportShown.of(each, counts[each.id])
