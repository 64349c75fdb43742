"""Sends one mail."""

import re
import smtplib

from actors import mail_message
from actors.smtp import connected
from outbox import Job, Uncertain, actor
from service.kinds import SEND_EMAIL, MailRefused, SendEmail
from service.mail.addresses import to_ascii
from service.settings import settings

ANSWER_SECONDS = 600.0
"""How long the server may think about a mail that it has got: ten minutes (RFC 5321, 4.5.3.2.6)."""
GO_ON = 354
LINE_OF_A_DOT = re.compile(rb"^\.", re.MULTILINE)


class MailDeferred(Exception):
    """The mail server did not take the mail now (a 4xx answer); it may take it later."""


class MailUncertain(Uncertain):
    """The mail server got the whole mail, and its answer was lost: it may have taken the mail."""


@actor(SEND_EMAIL)
def send(work: SendEmail, job: Job) -> dict[str, str]:
    """Hand the mail to the mail server; the result is its Message-ID.

    Raises MailRefused for a 5xx answer to the mail itself. What goes wrong before the mail is
    named (connection, TLS, login) is retried whatever the answer: it says nothing about this mail,
    and somebody will mend it. Raises MailUncertain where the answer to the whole mail is lost. If
    the process dies after the server took the mail, it is sent again with the same Message-ID, by
    which mail programs know a double.
    """
    sender = settings().sender
    try:
        recipient = to_ascii(work.to)
    except ValueError as error:
        raise MailRefused(str(error)) from None
    message = mail_message.write(work, job.id, sender, recipient)
    with connected(settings().mail_server) as server:
        _hand_over(server, message, sender.address, recipient)
    return {"message_id": mail_message.message_id(job.id, sender)}


def _hand_over(server: smtplib.SMTP, message: bytes, sender: str, recipient: str) -> None:
    _expect(server.mail(sender), 250)
    _expect(server.rcpt(recipient), 250, 251)
    _expect(server.docmd("DATA"), GO_ON)
    server.send(LINE_OF_A_DOT.sub(b"..", message.rstrip(b"\r\n")) + b"\r\n.\r\n")
    _expect(_answer_to_mail(server), 250)


def _answer_to_mail(server: smtplib.SMTP) -> tuple[int, bytes]:
    """From here on the server may have taken the mail, whatever we hear of it."""
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
