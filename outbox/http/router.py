"""The routes that every app gets."""

from fastapi import APIRouter
from fastapi.openapi.models import Example

from outbox.http.routes import dead_letters, health, jobs, overdue_jobs, submit_job
from outbox.http.routes.submit_job import NeededScope
from outbox.kinds import Kinds


def create_router(
    open_kinds: Kinds, needed_scope: NeededScope, examples: dict[str, Example]
) -> APIRouter:
    """Jobs, dead letters, overdue jobs and health. Clients may submit jobs of `open_kinds`."""
    router = APIRouter()
    if open_kinds:
        router.include_router(submit_job.create_router(open_kinds, needed_scope, examples))
    for module in (jobs, overdue_jobs, dead_letters, health):
        router.include_router(module.router)
    return router
