"""Answers a signed link with its file, without an API key."""

from datetime import UTC, datetime
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from sqlalchemy import func, or_, select

from outbox.http.openapi.response_docs import problem_docs
from outbox.http.problems import types
from outbox.http.problems.problem import Problem
from outbox.http.requests.strict_route import StrictRoute
from service.documents.store import DocumentMissing, parts
from service.files.keeping import FileMissing, find
from service.files.models import File
from service.own_settings import own_settings
from service.reports import links
from service.reports.formats import MEDIA_TYPES
from service.reports.links import BadLink, Link, LinkExpired
from service.reports.models import Report
from service.settings import Settings

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "private, no-store",
    "Referrer-Policy": "no-referrer",
}
"""A browser saves the file and neither opens, keeps nor tells of it."""
BINARY = {"schema": {"type": "string", "format": "binary"}}

router = APIRouter(
    prefix="/v1/downloads",
    tags=["Reports"],
    route_class=StrictRoute,
    responses=problem_docs(types.INVALID, types.INTERNAL, types.UNAVAILABLE),
)


@router.get(
    "/{token}",
    summary="Download a file by its link",
    response_class=StreamingResponse,
    responses={
        200: {
            "content": {each.partition(";")[0]: BINARY for each in MEDIA_TYPES.values()},
            "description": "The file, to be saved",
        },
        **problem_docs(types.NOT_FOUND, types.GONE),
    },
)
async def download_report(token: str, request: Request) -> StreamingResponse:
    """The file. Needs no API key: the link itself is signed, and expires."""
    link = _link(token, own_settings(request))
    report, file = await _found(request, link)
    try:
        document = await run_in_threadpool(request.app.state.documents.open, file.name)
    except DocumentMissing:
        raise gone() from None
    headers = {
        "Content-Length": str(file.size),
        "Content-Disposition": f'attachment; filename="{_file_name(report, link)}"',
    }
    media_type = MEDIA_TYPES[link.format]
    return StreamingResponse(parts(document), headers=HEADERS | headers, media_type=media_type)


def path(token: str) -> str:
    """The path of the file that this link leads to."""
    return f"{router.prefix}/{token}"


def _link(token: str, own: Settings) -> Link:
    secret = own.links_secret.get_secret_value() if own.links_secret else None
    try:
        return links.read(token, secret, datetime.now(UTC))
    except BadLink:
        raise Problem(types.NOT_FOUND, "there is no such link") from None
    except LinkExpired:
        raise Problem(types.GONE, "the link has expired: ask for a new one") from None


async def _found(request: Request, link: Link) -> tuple[Report, File]:
    """The report and its file, while that is kept.

    The connection is returned before a byte is sent: clients may be slow.
    """
    kept = or_(Report.expires_at.is_(None), Report.expires_at > func.now())
    query = select(Report).where(Report.id == link.report_id, kept)
    async with request.app.state.duly.sessions() as session:
        report: Report | None = await session.scalar(query)
        if report is None or not report.files:
            raise gone()
        try:
            file: File = await session.run_sync(find, UUID(report.files[link.format]["file"]))
        except FileMissing:
            raise gone() from None
    return report, file


def gone() -> Problem:
    """The answer once the files have been deleted."""
    return Problem(types.GONE, "the report's files have been deleted: ask for the report anew")


def _file_name(report: Report, link: Link) -> str:
    return f"invoiced-{report.first_day}-to-{report.last_day}.{link.format}"
