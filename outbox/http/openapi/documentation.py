"""Documents the API: its OpenAPI description, and a page to try it on."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.staticfiles import StaticFiles
from starlette.responses import HTMLResponse

from outbox.http.openapi.response_docs import add_headers, complete
from outbox.http.requests.strict_route import StrictRoute
from outbox.http.routes.index import Index, get_index

DESCRIPTION = """
Submit jobs that are not lost. A 2xx answer means that everything it says has been committed.

Every POST with an API key takes an `Idempotency-Key`, which makes it safe to repeat. Errors are
`application/problem+json`. Their `type` is an address under `/problems`, which lists and
explains them.
"""

PAGE = "/docs"
ASSETS = "/docs/assets"

router = APIRouter(tags=["Documentation"], route_class=StrictRoute)


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
        self.docs_url = PAGE
        self.mount(ASSETS, StaticFiles(packages=[("fastapi_offline", "static")]))
        self.include_router(router)

    def openapi(self) -> dict[str, Any]:
        """The description of the API in OpenAPI."""
        described = super().openapi()
        if "ProblemBody" not in described["components"]["schemas"]:
            complete(described, self._answers)
            add_headers(described)
        return described


@router.get("/", include_in_schema=False)
async def get_root(request: Request) -> Index:
    """The same as `/v1`, for those who know nothing but the address."""
    return await get_index(request)


@router.get(PAGE, include_in_schema=False)
async def try_it(request: Request) -> HTMLResponse:
    """A page that shows the API and sends requests to it."""
    return get_swagger_ui_html(
        openapi_url="/openapi.json",
        title=request.app.title,
        swagger_js_url=f"{ASSETS}/swagger-ui-bundle.js",
        swagger_css_url=f"{ASSETS}/swagger-ui.css",
        swagger_favicon_url=f"{ASSETS}/favicon.png",
    )
