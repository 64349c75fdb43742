"""Handlers for schedules: list, show, create, edit, pause, resume, run, backfill, delete."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Response

from outbox.http.auth.record import WhyInBody, WhyInQuery, record_look
from outbox.http.auth.scopes import Operator, Reader, require_scope
from outbox.http.openapi.response_docs import problem_docs, success_doc
from outbox.http.platform import OnPlatform, Platform
from outbox.http.problems import types
from outbox.http.problems.problem import ANY_REQUEST, POST_REQUEST
from outbox.http.requests.database import Tx
from outbox.http.requests.transaction import TransactionalRoute
from outbox.http.routes import cursors
from outbox.http.routes.cursors import Cursor, Limit
from outbox.http.routes.jobs.submit import NeededScope
from outbox.http.routes.schedules.given import (
    NewSchedule,
    Range,
    ScheduleChanges,
    refused_fields,
    work_of,
)
from outbox.http.routes.schedules.shown import (
    JobsMade,
    ScheduleInFull,
    SchedulePage,
    ScheduleShown,
    TickPage,
    TickShown,
    schedule_path,
)
from outbox.http.routes.schedules.versions import KnownVersion, etag, refusals
from outbox.kinds import Kinds, Work
from outbox.operations import schedules
from outbox.operations.api_keys import Caller, Scope
from outbox.schedules.schedule import NAME

Name = Annotated[str, Path(pattern=f"^{NAME.pattern}$")]
ACT = problem_docs(*POST_REQUEST, types.NOT_FOUND, types.CONFLICT)
CHANGE = problem_docs(*POST_REQUEST, types.NOT_FOUND, types.CONFLICT, types.CHANGED, types.IF_MATCH)
SHOWN_TICKS = 20


def create_router(open_kinds: Kinds, needed_scope: NeededScope) -> APIRouter:
    """The routes for schedules. Clients may schedule jobs of `open_kinds`."""
    router = APIRouter(
        prefix="/v1/schedules",
        tags=["Schedules"],
        route_class=TransactionalRoute,
        responses=problem_docs(*ANY_REQUEST),
    )
    _add_reading(router)
    _add_changing(router, open_kinds, needed_scope)
    _add_acts(router)
    return router


def _add_reading(router: APIRouter) -> None:
    @router.get(
        "",
        summary="List schedules",
        responses=success_doc(200, "SchedulePage") | problem_docs(types.BAD_CURSOR),
    )
    async def list_schedules(
        tx: Tx,
        by: Reader,
        platform: OnPlatform,
        limit: Limit = 50,
        cursor: Cursor = None,
        why: WhyInQuery = None,
    ) -> SchedulePage:
        """Schedules by name, those of the app's code and those created since."""
        after = cursors.read(cursor, "schedules", str)
        found = await tx.run_sync(schedules.find, limit=limit + 1, after=after)
        page = found[:limit]
        await record_look(tx, by, (f"schedule:{each.name}" for each in page), why)
        last = page[-1].name if len(found) > limit else None
        shown = [ScheduleShown.of(each, platform.kinds, by) for each in page]
        return SchedulePage(schedules=shown, next_cursor=cursors.after(last, "schedules"))

    @router.get(
        "/{name}",
        summary="Look at a schedule",
        responses=success_doc(200, "ScheduleInFull", "ETag") | problem_docs(types.NOT_FOUND),
    )
    async def get_schedule(
        name: Name,
        tx: Tx,
        by: Reader,
        platform: OnPlatform,
        response: Response,
        why: WhyInQuery = None,
    ) -> ScheduleInFull:
        """A schedule with its next runs, computed now, and its newest ticks."""
        return await _shown(name, tx, by, platform, response, why)

    @router.get(
        "/{name}/ticks",
        summary="List a schedule's ticks",
        responses=success_doc(200, "TickPage") | problem_docs(types.NOT_FOUND, types.BAD_CURSOR),
    )
    async def list_ticks(
        name: Name, tx: Tx, _: Reader, limit: Limit = 50, cursor: Cursor = None
    ) -> TickPage:
        """The ticks on record, the newest first: with their jobs, or why they made none."""
        of = f"ticks of {name}"
        before = cursors.read(cursor, of, _Moment)
        with refusals():
            await tx.run_sync(schedules.get, name)
        found = await tx.run_sync(
            schedules.ticks, name, limit=limit + 1, before=before.at if before else None
        )
        page = found[:limit]
        last = page[-1].due_at.isoformat() if len(found) > limit else None
        return TickPage(ticks=[*map(TickShown.of, page)], next_cursor=cursors.after(last, of))


def _add_changing(router: APIRouter, open_kinds: Kinds, needed_scope: NeededScope) -> None:
    def open_work(by: Caller, kind: str, payload: Any) -> Work[Any]:
        require_scope(by, Scope.SUBMIT)
        work = work_of(open_kinds, kind, payload)
        if (scope := needed_scope(work)) is not None:
            require_scope(by, scope)
        return work

    @router.post(
        "",
        status_code=201,
        summary="Create a schedule",
        responses=success_doc(201, "ScheduleShown", "Location", "ETag")
        | problem_docs(*POST_REQUEST, types.CONFLICT),
    )
    async def create_schedule(
        new: NewSchedule, tx: Tx, by: Operator, platform: OnPlatform, response: Response
    ) -> ScheduleShown:
        """Create a schedule of a kind that is open to clients; the key needs `submit`, too."""
        schedule = new.schedule(open_work(by, new.kind, new.payload))
        with refusals():
            await tx.run_sync(schedules.create, schedule, by=str(by), why=new.why)
        record = await tx.run_sync(schedules.get, new.name)
        response.headers.update({"Location": schedule_path(new.name), **etag(record.version)})
        return ScheduleShown.of(record, platform.kinds, by)

    @router.patch(
        "/{name}",
        summary="Edit a schedule",
        responses=success_doc(200, "ScheduleShown", "ETag") | CHANGE,
    )
    async def edit_schedule(
        name: Name,
        changes: ScheduleChanges,
        by: Operator,
        version: KnownVersion,
        tx: Tx,
        platform: OnPlatform,
        response: Response,
    ) -> ScheduleShown:
        """Change a schedule, from its first tick after now. One of the app's code is refused."""
        with refusals():
            record = await tx.run_sync(schedules.get, name)
            edited = changes.applied_to(
                record, platform.kinds, lambda kind, payload: open_work(by, kind, payload)
            )
            await tx.run_sync(schedules.edit, edited, version, by=str(by), why=changes.why)
        record = await tx.run_sync(schedules.get, name)
        response.headers.update(etag(record.version))
        return ScheduleShown.of(record, platform.kinds, by)

    @router.delete("/{name}", status_code=204, summary="Delete a schedule", responses=CHANGE)
    async def delete_schedule(
        name: Name, by: Operator, version: KnownVersion, tx: Tx, why: WhyInQuery = None
    ) -> None:
        """End a schedule. Its ticks stay on record, and jobs that it made go on."""
        with refusals():
            await tx.run_sync(schedules.delete, name, version, by=str(by), why=why)


def _add_acts(router: APIRouter) -> None:
    @router.post("/{name}/pause", summary="Pause a schedule", responses=_full() | ACT)
    async def pause_schedule(
        name: Name,
        tx: Tx,
        by: Operator,
        platform: OnPlatform,
        response: Response,
        why: WhyInBody,
    ) -> ScheduleInFull:
        """List its ticks as skipped, until it is resumed. Jobs that it made go on."""
        with refusals():
            await tx.run_sync(schedules.pause, name, by=str(by), why=why)
        return await _shown(name, tx, by, platform, response, why)

    @router.post("/{name}/resume", summary="Resume a schedule", responses=_full() | ACT)
    async def resume_schedule(
        name: Name,
        tx: Tx,
        by: Operator,
        platform: OnPlatform,
        response: Response,
        why: WhyInBody,
    ) -> ScheduleInFull:
        """Have its ticks make jobs again, from the next one on."""
        with refusals():
            await tx.run_sync(schedules.resume, name, by=str(by), why=why)
        return await _shown(name, tx, by, platform, response, why)

    @router.post(
        "/{name}/run",
        status_code=202,
        summary="Run a schedule now",
        responses=success_doc(202, "JobsMade") | ACT,
    )
    async def run_schedule(name: Name, tx: Tx, by: Operator, why: WhyInBody) -> JobsMade:
        """Submit its job now, even while it is paused or another of its jobs runs."""
        with refusals():
            job = await tx.run_sync(schedules.run, name, by=str(by), why=why)
        return JobsMade(job_ids=[job])

    @router.post(
        "/{name}/backfill",
        status_code=202,
        summary="Run a schedule's past ticks",
        responses=success_doc(202, "JobsMade") | ACT,
    )
    async def backfill_schedule(name: Name, wanted: Range, tx: Tx, by: Operator) -> JobsMade:
        """Submit the jobs of a range's ticks that have none. All of them may run at once."""
        with refusals(), refused_fields():
            jobs = await tx.run_sync(
                schedules.backfill, name, wanted.since, wanted.until, by=str(by), why=wanted.why
            )
        return JobsMade(job_ids=jobs)


def _full() -> dict[int | str, Any]:
    return success_doc(200, "ScheduleInFull", "ETag")


async def _shown(
    name: str, tx: Tx, by: Caller, platform: Platform, response: Response, why: str | None
) -> ScheduleInFull:
    with refusals():
        record = await tx.run_sync(schedules.get, name)
    await record_look(tx, by, [f"schedule:{name}"], why)
    newest = await tx.run_sync(schedules.ticks, name, limit=SHOWN_TICKS)
    response.headers.update(etag(record.version))
    return ScheduleInFull.of_ticks(record, newest, platform.kinds, by)


class _Moment:
    """A time in a cursor. Raises ValueError for text that is none."""

    def __init__(self, text: str) -> None:
        self.at = datetime.fromisoformat(text)
