"""A connection to the mail server, as secure as its URL asks for."""

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

TIMEOUT_SECONDS = 15.0
"""For each step of the conversation."""
STARTTLS = ("require", "never", "offered")


@contextmanager
def connected(url: str) -> Iterator[smtplib.SMTP]:
    """Connect, secure the connection, and log in where the URL has a user.

    `smtp://[user:password@]host[:port][?starttls=require|never]`: without `starttls`, it is used
    where offered, and required where there is a password to protect. `smtps://` is TLS from the
    first byte. Certificates are verified wherever TLS is required. Raises ValueError for another
    URL, smtplib.SMTPException or OSError when the server cannot be used.
    """
    where = urlsplit(url)
    server = _connect(where)
    try:
        _secure(server, _starttls(where))
        if where.username:
            server.login(unquote(where.username), unquote(where.password or ""))
        yield server
        # The mail is accepted by now: a goodbye that fails must not have it sent again.
        with suppress(smtplib.SMTPException, OSError):
            server.quit()
    finally:
        server.close()


def _connect(where: SplitResult) -> smtplib.SMTP:
    host = where.hostname or ""
    if where.scheme == "smtps":
        context = ssl.create_default_context()
        return smtplib.SMTP_SSL(host, where.port or 465, timeout=TIMEOUT_SECONDS, context=context)
    if where.scheme == "smtp":
        return smtplib.SMTP(host, where.port or 25, timeout=TIMEOUT_SECONDS)
    raise ValueError("a mail server's URL starts with smtp:// or smtps://")


def _starttls(where: SplitResult) -> str:
    if where.scheme == "smtps":
        return "never"
    default = "require" if where.password else "offered"
    asked = parse_qs(where.query).get("starttls", [default])[-1]
    if asked not in STARTTLS:
        raise ValueError(f"starttls is one of {', '.join(STARTTLS)}")
    return asked


def _secure(server: smtplib.SMTP, starttls: str) -> None:
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
