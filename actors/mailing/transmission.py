"""Hands a mail to the mail server, and says what its answers mean."""

import re
import smtplib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from outbox import RateLimited, Uncertain
from service.mail import status
from service.mail.addresses import Recipient
from service.mail.kinds import AddressGone, MailRefused
from service.mail.server import MailServer
from service.mail.smtp import connected

ANSWER_SECONDS = 600.0
"""How long the server may take to answer the whole mail: ten minutes (RFC 5321, 4.5.3.2.6)."""
START_MAIL_INPUT = 354
LEADING_DOT = re.compile(rb"^\.", re.MULTILINE)
PAUSE = timedelta(minutes=1)
"""For all mails, once the server has said that it gets too many."""


class MailDeferred(Exception):
    """The mail server rejected the mail for now (a 4xx reply). It may accept it later."""

    retry_in: timedelta | None = None


class ServerBusy(RateLimited):
    """The mail server takes no mail at all for now: it is full, or gets too many from us."""


class MailUncertain(Uncertain):
    """The mail server may have the mail, and nobody can tell."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A mail, and its envelope."""

    sender: str
    to: Recipient
    content: bytes


def transmit(mail: Outgoing, server: MailServer, before_content: Callable[[], None]) -> str:
    """Hand the mail over; returns what the server answered. `before_content` is called last before.

    Raises MailRefused for a 5xx reply to the mail itself, and for a mail that the server says
    beforehand it cannot take; AddressGone if its reply is that nobody has the address;
    MailDeferred for a 4xx reply; ServerBusy for one that is about all mails; MailUncertain if the
    reply to the whole mail is lost. Raises smtplib.SMTPException or OSError if it fails before
    that (connection, TLS, login): they say nothing about this mail.
    """
    try:
        with connected(server) as smtp:
            return _transmit(smtp, mail, before_content)
    except smtplib.SMTPConnectError as error:  # the server's greeting
        if not status.is_busy(error.smtp_code, said := _text(error.smtp_error)):
            raise
        raise ServerBusy(PAUSE, f"the mail server greeted with {error.smtp_code} {said}") from error


def _transmit(smtp: smtplib.SMTP, mail: Outgoing, before_content: Callable[[], None]) -> str:
    _expect(smtp.mail(mail.sender, _options(smtp, mail)), 250)
    _expect(smtp.rcpt(mail.to.address), 250, 251)
    before_content()
    _expect(smtp.docmd("DATA"), START_MAIL_INPUT)
    smtp.send(LEADING_DOT.sub(b"..", mail.content.rstrip(b"\r\n")) + b"\r\n.\r\n")
    return _expect(_final_reply(smtp), 250)


def _options(smtp: smtplib.SMTP, mail: Outgoing) -> list[str]:
    """What to say of the mail beforehand. Raises MailRefused if the server cannot take it."""
    options = []
    if smtp.has_extn("size"):
        largest, size = int(smtp.esmtp_features["size"] or 0), len(mail.content)
        if 0 < largest < size:
            raise MailRefused(f"the mail has {size:,} bytes, and the server takes {largest:,}")
        options.append(f"SIZE={size}")
    if mail.to.needs_utf8:
        if not smtp.has_extn("smtputf8"):
            raise MailRefused("the address needs SMTPUTF8, which the mail server does not offer")
        options += ["SMTPUTF8", "BODY=8BITMIME"]
    return options


def _final_reply(smtp: smtplib.SMTP) -> tuple[int, bytes]:
    """From here on the server may have accepted the mail, even if its reply is lost."""
    if smtp.sock is not None:
        smtp.sock.settimeout(ANSWER_SECONDS)
    try:
        return smtp.getreply()
    except (smtplib.SMTPException, OSError) as error:
        said = "the mail server got the whole mail, and its answer is lost"
        raise MailUncertain(f"{said}: {str(error) or type(error).__name__}") from error


def _expect(answer: tuple[int, bytes], *good: int) -> str:
    code, text = answer[0], _text(answer[1])
    if code in good:
        return f"{code} {text}"
    said = f"the mail server answered {code} {text}"
    if 500 <= code < 600:
        raise (AddressGone if status.is_address_gone(status.of(text)) else MailRefused)(said)
    raise ServerBusy(PAUSE, said) if status.is_busy(code, text) else MailDeferred(said)


def _text(reply: bytes | str) -> str:
    return reply.decode(errors="replace") if isinstance(reply, bytes) else reply
