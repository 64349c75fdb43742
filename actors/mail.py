"""Sends mails."""

import re
import smtplib

from actors.mailing.message import message_id, write
from actors.mailing.smtp import connected
from outbox import Job, Uncertain, actor
from service.mail.addresses import to_ascii
from service.mail.kinds import SEND_EMAIL, MailRefused, SendEmail
from service.settings import settings

ANSWER_SECONDS = 600.0
"""How long the server may take to answer the whole mail: ten minutes (RFC 5321, 4.5.3.2.6)."""
START_MAIL_INPUT = 354
LEADING_DOT = re.compile(rb"^\.", re.MULTILINE)


class MailDeferred(Exception):
    """The mail server rejected the mail for now (a 4xx reply). It may accept it later."""


class MailUncertain(Uncertain):
    """The mail server got the whole mail, but its reply was lost. It may have accepted the mail."""


@actor(SEND_EMAIL)
def send(work: SendEmail, job: Job) -> dict[str, str]:
    """Hand the mail to the mail server; the result is its Message-ID.

    Raises MailRefused for a 5xx reply to the mail itself, or an address that cannot be ASCII.
    Failures before that (connection, TLS, login) are retried whatever the reply: they say nothing
    about this mail, and somebody will fix them. Raises MailUncertain if the reply to the whole mail
    is lost. If the process dies after the server accepted the mail, it is sent again with the same
    Message-ID, so that mail programs can recognise the duplicate.
    """
    sender = settings().sender
    try:
        recipient = to_ascii(work.to)
    except ValueError as error:
        raise MailRefused(str(error)) from None
    message = write(work, job.id, sender, recipient)
    with connected(settings().mail_server) as server:
        _transmit(server, message, sender.address, recipient)
    return {"message_id": message_id(job.id, sender)}


def _transmit(server: smtplib.SMTP, message: bytes, sender: str, recipient: str) -> None:
    _expect(server.mail(sender), 250)
    _expect(server.rcpt(recipient), 250, 251)
    _expect(server.docmd("DATA"), START_MAIL_INPUT)
    server.send(LEADING_DOT.sub(b"..", message.rstrip(b"\r\n")) + b"\r\n.\r\n")
    _expect(_final_reply(server), 250)


def _final_reply(server: smtplib.SMTP) -> tuple[int, bytes]:
    """From here on the server may have accepted the mail, even if its reply is lost."""
    if server.sock is not None:
        server.sock.settimeout(ANSWER_SECONDS)
    try:
        return server.getreply()
    except (smtplib.SMTPException, OSError) as error:
        said = "the mail server got the whole mail, and its answer is lost"
        raise MailUncertain(f"{said}: {str(error) or type(error).__name__}") from error


def _expect(answer: tuple[int, bytes], *good: int) -> None:
    code, text = answer
    if code in good:
        return
    said = f"the mail server answered {code} {text.decode(errors='replace')}"
    raise MailRefused(said) if 500 <= code < 600 else MailDeferred(said)


ACTORS = (send,)
