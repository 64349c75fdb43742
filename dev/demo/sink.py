"""The demo's outside world: a mail server, and a receiver of webhooks that checks signatures.

`python -m dev.demo.sink SMTP_PORT HTTP_PORT`. It tells what arrived at GET /received, and answers
webhooks with the status that PUT /hooks asks for, so that the demo can break and mend it.
"""

import sys
from contextlib import asynccontextmanager
from email import message_from_bytes, policy
from typing import Annotated, Any

import uvicorn
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from fastapi import Body, FastAPI, Request, Response
from standardwebhooks import Webhook


class Sink:
    """What arrived, and how to answer."""

    def __init__(self) -> None:
        self.mails: list[dict[str, Any]] = []
        self.webhooks: list[dict[str, Any]] = []
        self.secret = ""
        self.status = 204

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """Take a mail."""
        mail = message_from_bytes(envelope.original_content or b"", policy=policy.default)
        self.mails.append(
            {
                "message_id": mail["Message-ID"],
                "to": mail["To"],
                "subject": mail["Subject"],
                "attachments": [part.get_filename() for part in mail.iter_attachments()],
            }
        )
        return "250 OK"

    def take(self, body: bytes, headers: dict[str, str]) -> int:
        """Take a webhook; returns the status to answer with. Raises on a wrong signature."""
        event = Webhook(self.secret).verify(body, headers)
        self.webhooks.append({"id": headers["webhook-id"], "status": self.status, "event": event})
        return self.status


def create_app(sink: Sink, smtp_port: int) -> FastAPI:
    """The HTTP side; the mail server runs as long as it does."""

    @asynccontextmanager
    async def mail_server(_: FastAPI):  # type: ignore[no-untyped-def]
        controller = Controller(sink, hostname="127.0.0.1", port=smtp_port)
        controller.start()
        yield
        controller.stop()

    app = FastAPI(lifespan=mail_server)

    @app.put("/hooks", status_code=204)
    def configure(secret: Annotated[str, Body()], status: Annotated[int, Body()]) -> None:
        sink.secret, sink.status = secret, status

    @app.post("/hooks")
    async def receive(request: Request) -> Response:
        status = sink.take(await request.body(), dict(request.headers))
        # "Try again at once": the demo's failing job is dead in seconds, not in hours.
        return Response(status_code=status, headers={"Retry-After": "0"})

    @app.get("/received")
    def received() -> dict[str, Any]:
        return {"mails": sink.mails, "webhooks": sink.webhooks}

    return app


if __name__ == "__main__":
    smtp_port, http_port = map(int, sys.argv[1:])
    uvicorn.run(create_app(Sink(), smtp_port), port=http_port, log_level="warning")
