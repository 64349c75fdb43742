"""Documents the API: its OpenAPI description, a page to try it on, what each problem means."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel
from starlette.responses import HTMLResponse

from outbox.http.openapi.response_docs import add_headers, complete, problem_docs, success_doc
from outbox.http.problems import types
from outbox.http.problems.problem import Problem
from outbox.http.problems.types import PROBLEM_TYPES
from outbox.http.requests.strict_route import StrictRoute

DESCRIPTION = """
Submit jobs that are not lost. A 2xx answer means that everything it says has been committed.

Every POST takes an `Idempotency-Key`, which makes it safe to repeat. Errors are
`application/problem+json`. Their `type` is an address under `/problems` that explains them.
"""

ASSETS = "/docs/assets"

router = APIRouter(tags=["Documentation"], route_class=StrictRoute)


class ProblemMeaning(BaseModel):
    """What the `type` of a problem means, and what to do about it."""

    type: str
    status: int
    title: str
    meaning: str


def complete_openapi(app: FastAPI) -> None:
    """Complete the OpenAPI description of an app that includes the library's routers."""
    describe = app.openapi

    def openapi() -> dict[str, Any]:
        described = describe()
        schemas = described.get("components", {}).get("schemas", {})
        if schemas and "ProblemBody" not in schemas:
            complete(described, {})
        return described

    app.openapi = openapi  # type: ignore[method-assign]


class DocumentedApi(FastAPI):
    """FastAPI with a complete OpenAPI description, and a page that needs no other server.

    Operation ids are the handlers' names: generated clients name their functions after them.
    """

    def __init__(self, *, answers: Mapping[str, Any] | None = None, **options: Any) -> None:
        self._answers = answers or {}
        # FastAPI's own page loads its script from a CDN.
        super().__init__(
            docs_url=None,
            redoc_url=None,
            description=DESCRIPTION,
            generate_unique_id_function=lambda route: route.name,
            **options,
        )
        self.mount(ASSETS, StaticFiles(packages=[("fastapi_offline", "static")]))
        self.include_router(router)

    def openapi(self) -> dict[str, Any]:
        """The description of the API in OpenAPI."""
        described = super().openapi()
        if "ProblemBody" not in described["components"]["schemas"]:
            complete(described, self._answers)
            add_headers(described)
        return described


@router.get("/docs", include_in_schema=False)
async def try_it(request: Request) -> HTMLResponse:
    """A page that shows the API and sends requests to it."""
    return get_swagger_ui_html(
        openapi_url="/openapi.json",
        title=request.app.title,
        swagger_js_url=f"{ASSETS}/swagger-ui-bundle.js",
        swagger_css_url=f"{ASSETS}/swagger-ui.css",
        swagger_favicon_url=f"{ASSETS}/favicon.png",
    )


@router.get(
    "/problems/{name}",
    summary="What a problem means",
    responses=success_doc(200, "ProblemMeaning")
    | problem_docs(types.NOT_FOUND, types.INVALID, types.INTERNAL),
)
async def explain_problem(name: str) -> ProblemMeaning:
    """What the `type` of a problem means, and what to do about it."""
    if name not in PROBLEM_TYPES:
        raise Problem(types.NOT_FOUND, "there is no such problem type")
    type_ = PROBLEM_TYPES[name]
    return ProblemMeaning(
        type=type_.uri, status=type_.status, title=type_.title, meaning=type_.meaning
    )
