"""A connection to the mail server, as secure as its URL asks for."""

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from outbox.resolver import Resolver
from service.mail.server import MailServer, StartTls

TIMEOUT_SECONDS = 15.0
"""For each step of the conversation."""

HOSTS = Resolver(threads=2)


@contextmanager
def connected(to: MailServer) -> Iterator[smtplib.SMTP]:
    """Connect, secure the connection, and log in where there is a user.

    Without being told, STARTTLS is used where offered, and required where there is a password to
    protect. Certificates are verified wherever TLS is required. Raises smtplib.SMTPException or
    OSError when the server cannot be used.
    """
    server = _connect(to)
    try:
        _secure(server, to.starttls)
        if to.user:
            server.login(to.user, to.password)
        yield server
        # The mail is accepted by now: a goodbye that fails must not have it sent again.
        with suppress(smtplib.SMTPException, OSError):
            server.quit()
    finally:
        server.close()


def _connect(to: MailServer) -> smtplib.SMTP:
    HOSTS.resolve(to.host, to.port)  # smtplib does so itself, however long it takes
    if to.is_tls:
        context = ssl.create_default_context()
        return smtplib.SMTP_SSL(to.host, to.port, timeout=TIMEOUT_SECONDS, context=context)
    return smtplib.SMTP(to.host, to.port, timeout=TIMEOUT_SECONDS)


def _secure(server: smtplib.SMTP, starttls: StartTls) -> None:
    server.ehlo_or_helo_if_needed()
    if starttls == "require":
        server.starttls(context=ssl.create_default_context())
    elif starttls == "offered" and server.has_extn("starttls"):
        server.starttls(context=_unverified())
    server.ehlo_or_helo_if_needed()


def _unverified() -> ssl.SSLContext:
    # Where plain text would do as well, a certificate that nobody signed does no harm (RFC 7435).
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
