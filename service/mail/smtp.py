"""Connects to the mail server, as securely as its URL demands."""

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from outbox.resolver import TIMEOUT_SECONDS as LOOKUP_SECONDS
from outbox.resolver import Resolver
from service.mail.server import MailServer, StartTls

TIMEOUT_SECONDS = 15.0
"""By default, for each command and its reply."""

RESOLVER = Resolver(threads=2)


@contextmanager
def connected(to: MailServer, seconds: float | None = None) -> Iterator[smtplib.SMTP]:
    """Connect, secure the connection, and log in if there is a user.

    By default STARTTLS is used if the server offers it, and required if there is a password to
    protect. Certificates are verified whenever TLS is required. Raises smtplib.SMTPException or
    OSError if the server cannot be used. Each command and its reply have `seconds`.
    """
    server = _connect(to, seconds or TIMEOUT_SECONDS)
    try:
        _secure(server, to.starttls)
        if to.user:
            server.login(to.user, to.password)
        yield server
        # The mail is accepted by now. A failing QUIT must not cause it to be sent again.
        with suppress(smtplib.SMTPException, OSError):
            server.quit()
    finally:
        server.close()


def _connect(to: MailServer, seconds: float) -> smtplib.SMTP:
    RESOLVER.resolve(
        to.host, to.port, min(seconds, LOOKUP_SECONDS)
    )  # with a deadline: smtplib's own lookup has none
    if to.is_tls:
        context = ssl.create_default_context()
        return smtplib.SMTP_SSL(to.host, to.port, timeout=seconds, context=context)
    return smtplib.SMTP(to.host, to.port, timeout=seconds)


def _secure(server: smtplib.SMTP, starttls: StartTls) -> None:
    server.ehlo_or_helo_if_needed()
    if starttls == "require":
        server.starttls(context=ssl.create_default_context())
    elif starttls == "offered" and server.has_extn("starttls"):
        server.starttls(context=_unverified())
    server.ehlo_or_helo_if_needed()


def _unverified() -> ssl.SSLContext:
    # Plain text is allowed here, so an unverified certificate does no harm (RFC 7435).
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
