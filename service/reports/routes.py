"""Handlers for reports: ask for one, look at it, and make links to download its files."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, cast
from uuid import UUID

from fastapi import APIRouter, Body, Response
from sqlalchemy import func, select

from outbox.http.auth.record import WhyInQuery
from outbox.http.auth.scopes import Reader, Submitter
from outbox.http.openapi.response_docs import problem_docs, success_doc
from outbox.http.problems import types
from outbox.http.problems.problem import ANY_REQUEST, POST_REQUEST, Problem
from outbox.http.requests.database import Tx
from outbox.http.requests.transaction import TransactionalRoute
from outbox.http.routes import cursors
from outbox.http.routes.cursors import Cursor, Limit
from outbox.operations import acts, jobs
from service.own_settings import OwnSettings
from service.reports import downloads
from service.reports.answer_examples import ANSWERS as ANSWERS
from service.reports.examples import NEW_LINKS, NEW_REPORTS
from service.reports.links import Link
from service.reports.models import Report
from service.reports.requests import ask_for
from service.reports.schemas import (
    LinkMade,
    NewLink,
    NewReport,
    ReportPage,
    ReportShown,
    ReportSummary,
    report_path,
)

reports = APIRouter(
    prefix="/v1/reports",
    tags=["Reports"],
    route_class=TransactionalRoute,
    responses=problem_docs(*ANY_REQUEST),
)


@reports.post(
    "",
    status_code=202,
    summary="Ask for a report",
    response_description="The report is on record, and so is the job that builds it",
    responses={
        **success_doc(202, "Report", "Location"),
        200: {
            **success_doc(200, "Report", "Location")[200],
            "model": ReportShown,
            "description": "The same report is being built: it is this one",
        },
    }
    | problem_docs(*POST_REQUEST),
)
async def create_report(
    new: Annotated[NewReport, Body(openapi_examples=NEW_REPORTS)],
    tx: Tx,
    by: Submitter,
    own: OwnSettings,
    response: Response,
) -> ReportShown:
    """Have a report built of what was invoiced in a period. Its job is `report.build`.

    While the same report is being built (the same days and formats), the answer is that one, with
    the status 200. Once it is ready, the next request builds it anew, from the invoices of then.
    """
    period = new.period(own.reports_zone)
    report, job = await tx.run_sync(ask_for, period, new.wanted, by=str(by))
    response.headers["Location"] = report_path(report.id)
    if not job.is_duplicate:
        return ReportShown.of(report, job)
    response.status_code = 200
    return ReportShown.of(report, await tx.run_sync(jobs.get_summary, job.id))


@reports.get(
    "",
    summary="List reports",
    responses=success_doc(200, "ReportPage") | problem_docs(types.BAD_CURSOR),
)
async def list_reports(tx: Tx, _: Reader, limit: Limit = 50, cursor: Cursor = None) -> ReportPage:
    """Reports, newest first."""
    query = select(Report).order_by(Report.id.desc()).limit(limit + 1)
    if before := cursors.read(cursor, "reports", UUID):
        query = query.where(Report.id < before)
    rows, next_cursor = cursors.page((await tx.scalars(query)).all(), "reports", limit)
    found = [ReportSummary.model_validate(report) for report in rows]
    return ReportPage(reports=found, next_cursor=next_cursor)


@reports.get(
    "/{report_id}",
    summary="Get a report",
    responses=success_doc(200, "Report") | problem_docs(types.NOT_FOUND),
)
async def get_report(report_id: UUID, tx: Tx, _: Reader) -> ReportShown:
    """A report with its totals, once it is ready, and its job."""
    report, has_expired = await _get(tx, report_id)
    job = await tx.run_sync(jobs.get_summary, report_id)
    return ReportShown.of(report, job, has_expired=has_expired)


@reports.post(
    "/{report_id}/links",
    status_code=201,
    summary="Make a link to download a file",
    responses=success_doc(201, "ReportLink")
    | problem_docs(types.NOT_FOUND, types.NOT_READY, types.GONE, types.CONFLICT, *POST_REQUEST),
)
async def create_report_link(
    report_id: UUID,
    new: Annotated[NewLink, Body(openapi_examples=NEW_LINKS)],
    tx: Tx,
    by: Reader,
    own: OwnSettings,
    why: WhyInQuery = None,
) -> LinkMade:
    """A link that needs no API key: whoever has it gets the file, until it expires.

    That a link was made, and with which key, is in the record of acts.
    """
    report, has_expired = await _get(tx, report_id)
    if has_expired:
        raise downloads.gone()
    _check_file(report, new.format)
    if own.links_secret is None:
        raise Problem(types.CONFLICT, "links need the setting DULY_LINKS_SECRET, which is not set")
    expires_at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=new.lifetime_seconds)
    about = [f"report:{report_id}"]
    await tx.run_sync(acts.record, "report-link", about, who=str(by), why=why)
    secret = own.links_secret.get_secret_value()
    token = Link(report_id, new.format, expires_at).token(secret)
    return LinkMade(url=downloads.path(token), expires_at=expires_at)


def _check_file(report: Report, format_: str) -> None:
    if format_ not in report.formats:
        raise Problem(types.NOT_FOUND, f"the report was not asked for as {format_}")
    if report.built_at is None:
        detail = "the report has not been built yet"
        raise Problem(types.NOT_READY, detail, headers={"Retry-After": "1"})


async def _get(tx: Tx, report_id: UUID) -> tuple[Report, bool]:
    """The report, and whether its files have expired by Postgres's clock."""
    query = select(Report, func.coalesce(Report.expires_at <= func.now(), False))
    found = (await tx.execute(query.where(Report.id == report_id))).one_or_none()
    if found is None:
        raise Problem(types.NOT_FOUND, f"there is no report {report_id}")
    return cast("tuple[Report, bool]", tuple(found))


router = APIRouter()
router.include_router(reports)
router.include_router(downloads.router)
