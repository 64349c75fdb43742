"""The handler that says where everything is. It needs no API key."""

from fastapi import APIRouter, Request
from pydantic import BaseModel

from outbox.http.base_path import INDEX, with_base_path
from outbox.http.openapi.response_docs import problem_docs, success_doc
from outbox.http.problems import types
from outbox.http.requests.strict_route import StrictRoute

PATHS = {
    "jobs": "/v1/jobs",
    "overdue_jobs": "/v1/overdue-jobs",
    "batches": "/v1/batches",
    "dead_letters": "/v1/dead-letters",
    "kinds": "/v1/kinds",
    "queues": "/v1/queues",
    "limits": "/v1/limits",
    "workers": "/v1/workers",
    "problems": "/problems",
    "health": "/healthz",
    "readiness": "/readyz",
    "metrics": "/metrics",
}

router = APIRouter(
    tags=["Documentation"],
    route_class=StrictRoute,
    responses=problem_docs(types.INVALID, types.INTERNAL),
)


class Index(BaseModel):
    """Where everything is. `docs` and `openapi` are there if the app has them."""

    links: dict[str, str]


@router.get(
    "/v1",
    name=INDEX,
    operation_id="get_index",
    summary="Where everything is",
    responses=success_doc(200, "Index"),
)
async def get_index(request: Request) -> Index:
    """The paths of what there is."""
    root, app = request.scope.get("root_path", "").rstrip("/"), request.app
    documentation = {"docs": app.docs_url, "openapi": app.openapi_url}
    links = {name: root + path for name, path in documentation.items() if path}
    return Index(links=links | {name: with_base_path(path) for name, path in PATHS.items()})
