"""The routes that every app gets."""

from fastapi import APIRouter
from fastapi.openapi.models import Example

from outbox.http.routes import health, index, kinds, limits, metrics, problems, queues, workers
from outbox.http.routes.batches import handlers as batches
from outbox.http.routes.batches import submit as submit_batch
from outbox.http.routes.cancellations import handlers as cancellations
from outbox.http.routes.dead_letters import handlers as dead_letters
from outbox.http.routes.events import handlers as events
from outbox.http.routes.jobs import handlers as jobs
from outbox.http.routes.jobs import overdue, reschedule, submit
from outbox.http.routes.jobs.new_job import new_job
from outbox.http.routes.jobs.submit import NeededScope
from outbox.http.routes.schedules import handlers as schedules
from outbox.kinds import Kinds


def create_router(
    open_kinds: Kinds, needed_scope: NeededScope, examples: dict[str, Example]
) -> APIRouter:
    """All routes of the library. Clients may submit jobs of `open_kinds`."""
    router = APIRouter()
    if open_kinds:
        job = new_job(open_kinds)
        router.include_router(submit.create_router(job, needed_scope, examples))
        router.include_router(submit_batch.create_router(open_kinds, job, needed_scope))
    for module in (jobs, reschedule, cancellations, overdue, batches, dead_letters, events):
        router.include_router(module.router)
    router.include_router(schedules.create_router(open_kinds, needed_scope))
    router.include_router(kinds.create_router(open_kinds))
    for module in (queues, limits, workers, health, metrics, index, problems):
        router.include_router(module.router)
    return router
