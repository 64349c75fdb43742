"""The paths along which secrets come: requests, jobs, messages, and answers of other servers."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any
from uuid import UUID

import httpx2
from aiosmtpd.smtp import AuthResult
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from outbox import submit
from tests.faults.leaky import HOWS, IN_POSTGRES, LEAK, LEAK_AS_TASK
from tests.faults.line import Line
from tests.faults.secrets import Secrets
from tests.support.engine.rabbit import Rabbit
from tests.support.outside.mail_server import Inbox, mail_server
from tests.support.outside.receiver import Answer
from tests.support.service.line import INVOICE


def address(secrets: Secrets) -> str:
    """The receiver of the mail."""
    return f"{secrets['address']}@example.com"


@contextmanager
def refusing_mail_server(inbox: Inbox, secrets: Secrets) -> Iterator[str]:
    """Takes any password, and refuses the receiver, whom it quotes."""
    inbox.to_recipient = f"550 5.1.1 <{address(secrets)}> is unknown here"
    options = {
        "auth_require_tls": False,
        "authenticator": lambda *_: AuthResult(success=True),
    }
    with mail_server(inbox, **options) as where:
        yield where


def refusal(body: str) -> Answer:
    """An HTTP server's answer that refuses, with a body."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        content = body.encode()
        request.send_response(403)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)

    return answer


def mail(secrets: Secrets) -> dict[str, Any]:
    """A job that sends a mail."""
    payload = {
        "to": address(secrets),
        "subject": "Hello",
        "text": f"Your code is {secrets['mail text']}.",
        "html": f"<p>Your code is <b>{secrets['mail html']}</b>.</p>",
    }
    return {"kind": "email.send", "payload": payload}


def submit_over_http(line: Line, secrets: Secrets) -> list[str]:
    """Jobs with sensitive fields, as a client submits them; returns their ids."""
    headers = {
        "Idempotency-Key": secrets["idempotency key"],
        "X-Customer": secrets["header"],
        "Cookie": f"session={secrets['cookie']}",
    }
    sent = line.http.post("/v1/jobs", json=mail(secrets), headers=headers)
    url = f"{line.receiver.url}&token={secrets['endpoint token']}"
    made = line.post("/v1/webhook-endpoints", {"url": url, "events": ["*"]})
    secrets.add("endpoint secret", made["secret"].removeprefix("whsec_"))
    payload = {
        "endpoint_id": made["id"],
        "event": "invoice.paid",
        "data": {"iban": secrets["webhook data"]},
    }
    told = line.post("/v1/jobs", {"kind": "webhook.deliver", "payload": payload})
    invoice = line.post("/v1/invoices", INVOICE)
    charged = line.post(f"{invoice['links']['self']}/charge", {"payment_method": "pm_card_visa"})
    jobs = [sent.raise_for_status().json(), told, *invoice["jobs"], charged["job"]]
    return [job["id"] for job in jobs]


def ask_for_nonsense(line: Line, secrets: Secrets) -> list[httpx2.Response]:
    """Requests that are refused."""
    http, unknown = line.http, f"duly_0123456789ab_{secrets['unknown api key'] * 2}"
    wrong = {"kind": "email.send", "payload": {"to": secrets["field"], "text": 7}}
    return [
        http.get("/v1/jobs", headers={"Authorization": f"Bearer {unknown[:61]}"}),
        http.get(f"/v1/jobs?token={secrets['query']}"),
        http.get(f"/v1/jobs?state={secrets['query']}"),
        http.get(f"/v1/jobs/{secrets['path']}"),
        http.get(f"/{secrets['path']}"),
        http.get(f"/v1/downloads/{secrets['path']}"),
        http.post(f"/v1/unsubscribe/{secrets['path']}"),
        http.post("/v1/jobs", json=wrong),
        http.post("/v1/jobs", content=f'{{"kind": "{secrets["body"]}', headers=JSON),
        http.post("/v1/jobs", content=secrets["body"], headers={"Content-Type": "text/plain"}),
        http.post("/v1/hooks/stripe", content=secrets["body"], headers=_signed(secrets)),
        http.post("/v1/hooks/nobody", content=secrets["body"], headers=_signed(secrets)),
    ]


JSON = {"Content-Type": "application/json"}


def _signed(secrets: Secrets) -> dict[str, str]:
    signature = secrets["signature"]
    return JSON | {
        "Stripe-Signature": f"t=1,v1={signature}",
        "webhook-id": "1",
        "webhook-timestamp": "1",
        "webhook-signature": f"v1,{signature}",
    }


def submit_leaks(engine: Engine, secrets: Secrets) -> list[UUID]:
    """A job for each way in which an actor may give its payload away."""
    works = [LEAK(how=how, secret=secrets.add(how)) for how in HOWS]
    works += [
        LEAK_AS_TASK(how=how, secret=secrets.add(f"{how}, as a task"))
        for how in HOWS.keys() - IN_POSTGRES
    ]
    with Session(engine) as session, session.begin():
        return [submit(session, work).id for work in works]


def publish_nonsense(rabbit: Rabbit, queue: str, secrets: Secrets) -> None:
    """Messages that are no jobs."""
    body, header = secrets["foreign body"], secrets["foreign header"]
    rabbit.publish(queue, body.encode(), {"token": header})
    rabbit.publish(queue, f'{{"job": "{body}"}}'.encode(), {header: {"nested": [header]}})
    rabbit.publish_whole("", queue, body.encode(), headers={"x": header}, type=header)
