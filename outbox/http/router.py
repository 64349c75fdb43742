"""The routes that every app gets."""

from fastapi import APIRouter
from fastapi.openapi.models import Example

from outbox.http.routes import (
    health,
    index,
    jobs,
    kinds,
    overdue_jobs,
    problems,
    queues,
    reschedule_job,
    submit_job,
    workers,
)
from outbox.http.routes.batches import handlers as batches
from outbox.http.routes.dead_letters import handlers as dead_letters
from outbox.http.routes.schedules import handlers as schedules
from outbox.http.routes.submit_job import NeededScope
from outbox.kinds import Kinds


def create_router(
    open_kinds: Kinds, needed_scope: NeededScope, examples: dict[str, Example]
) -> APIRouter:
    """All routes of the library. Clients may submit jobs of `open_kinds`."""
    router = APIRouter()
    if open_kinds:
        router.include_router(submit_job.create_router(open_kinds, needed_scope, examples))
    for module in (jobs, reschedule_job, overdue_jobs, batches, dead_letters):
        router.include_router(module.router)
    router.include_router(schedules.create_router(open_kinds, needed_scope))
    router.include_router(kinds.create_router(open_kinds))
    for module in (queues, workers, health, index, problems):
        router.include_router(module.router)
    return router
