"""A real SMTP server that keeps what it is sent and answers as a test tells it to."""

import asyncio
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from dev.ports import free_port

USER, PASSWORD = b"duly", b"p@ss:word/"


class Inbox:
    """What arrived, and what to answer: `to_recipient` after RCPT, `to_message` after DATA.

    It thinks about a message for `thinks_seconds` before it answers. Where it `hangs_up`, it keeps
    the message, and closes the connection in place of an answer.
    """

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []
        self.secured: list[bool] = []
        self.to_recipient = "250 OK"
        self.to_message = "250 OK"
        self.thinks_seconds = 0.0
        self.hangs_up = False
        self.arrived_at: list[float] = []

    # No property: aiosmtpd looks at all attributes of its handler for each connection.
    def messages(self) -> list[EmailMessage]:
        contents = (envelope.original_content or b"" for envelope in self.envelopes)
        return [message_from_bytes(content, policy=policy.default) for content in contents]

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: Any
    ) -> str:
        envelope.rcpt_tos.append(address)
        return self.to_recipient

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        self.envelopes.append(envelope)
        self.arrived_at.append(time.monotonic())
        self.secured.append(session.ssl is not None)
        await asyncio.sleep(self.thinks_seconds)
        if self.hangs_up and isinstance(server.transport, asyncio.WriteTransport):
            server.transport.abort()
        return self.to_message


class _Controller(Controller):
    """aiosmtpd's, which leaves no connection of a client to the garbage collector."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._made: list[SMTP] = []

    def factory(self) -> SMTP:
        made: SMTP = super().factory()  # type: ignore[no-untyped-call]
        self._made.append(made)
        return made

    def stop(self, no_assert: bool = False) -> None:
        asyncio.run_coroutine_threadsafe(self._hang_up(), self.loop).result(10)
        super().stop(no_assert)

    async def _hang_up(self) -> None:
        for each in self._made:
            if isinstance(each.transport, asyncio.WriteTransport):
                _abort(each.transport)
        # aiosmtpd has no event for it. The loop closes what was aborted.
        while any(each.transport for each in self._made):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def _abort(transport: asyncio.WriteTransport) -> None:
    if not transport.is_closing():  # Python 3.11.2 fails to abort TLS that is about to end
        transport.abort()


@contextmanager
def mail_server(inbox: Inbox, **options: Any) -> Iterator[str]:
    """Runs the server for a while and gives its `host:port`; options are aiosmtpd's."""
    controller = _Controller(inbox, hostname="127.0.0.1", port=free_port(), **options)
    controller.start()
    try:
        yield f"127.0.0.1:{controller.port}"
    finally:
        controller.stop()


def secured(context: ssl.SSLContext) -> dict[str, Any]:
    """Options for a server that wants STARTTLS and a login."""
    return {
        "tls_context": context,
        "require_starttls": True,
        "auth_required": True,
        "authenticator": _authenticate,
    }


def _authenticate(
    server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
) -> AuthResult:
    right = LoginPassword(USER, PASSWORD)
    return AuthResult(success=data == right, handled=False)
