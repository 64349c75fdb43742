"""The router of imports, to which routes.py and upload_routes.py add their handlers."""

from fastapi import APIRouter

from outbox.http.openapi.response_docs import problem_docs
from outbox.http.problems.problem import ANY_REQUEST
from service.imports.receiving import ReceivingRoute

router = APIRouter(
    prefix="/v1/imports",
    tags=["Imports"],
    route_class=ReceivingRoute,
    responses=problem_docs(*ANY_REQUEST),
)
