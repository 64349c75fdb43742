"""The handler that takes what mail servers return: bounces and complaints."""

from dataclasses import asdict

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool

from outbox.http.auth.scopes import Submitter
from outbox.http.openapi.response_docs import problem_docs, success_doc
from outbox.http.problems.problem import ANY_REQUEST, POST_REQUEST, field_error, invalid
from outbox.http.requests.database import Tx
from outbox.http.requests.transaction import TransactionalRoute
from service.mail.examples import BOUNCE
from service.mail.returned import bounces, delivery_reports
from service.mail.routes.schemas import BounceTaken

BODY = {
    "required": True,
    "content": {
        "application/octet-stream": {
            "schema": {"type": "string", "format": "binary", "minLength": 1},
            "examples": {"a bounce": {"value": BOUNCE}},
        }
    },
}

router = APIRouter(
    prefix="/v1/mail-bounces",
    tags=["Mail"],
    route_class=TransactionalRoute,
    responses=problem_docs(*ANY_REQUEST),
)


@router.post(
    "",
    summary="Take a returned mail",
    responses=success_doc(200, "BounceTaken") | problem_docs(*POST_REQUEST),
    openapi_extra={"requestBody": BODY},
)
async def take_bounce(request: Request, tx: Tx, _: Submitter) -> BounceTaken:
    """Take any message that came to the return address, as it is, from the mail server's pipe.

    A report of a failed delivery (RFC 3464) marks its mail as `bounced`; if nobody has the address,
    or if it was the fifth within 30 days, the receiver gets no more mail. So it is with a complaint
    (RFC 5965). Anything else is `ignored`, and no error: the server would only return it.
    """
    raw = await request.body()
    if not raw:
        raise invalid([field_error(["body"], "is empty")])
    report = await run_in_threadpool(delivery_reports.read, raw)
    applied = await tx.run_sync(bounces.apply, report)
    return BounceTaken(**asdict(applied))
