"""Sends one mail."""

import mimetypes
import smtplib
from email.message import EmailMessage
from email.utils import localtime, parseaddr
from pathlib import PurePosixPath
from uuid import UUID

from actors.smtp import connected
from outbox import Job, actor
from service.documents import documents
from service.kinds import SEND_EMAIL, MailRefused, SendEmail
from service.settings import settings


class MailDeferred(Exception):
    """The mail server did not take the mail now (a 4xx answer); it may take it later."""


@actor(SEND_EMAIL)
def send(work: SendEmail, job: Job) -> dict[str, str]:
    """Hand the mail to the mail server; the result is its Message-ID.

    Raises MailRefused for a 5xx answer to the mail itself. What goes wrong before the mail is
    named (connection, TLS, login) is retried whatever the answer: it says nothing about this mail,
    and somebody will mend it. If the process dies after the server took the mail, it is sent again
    with the same Message-ID, by which mail programs know a double.
    """
    message = _compose(work, job.id)
    with connected(settings().smtp_url) as server:
        _hand_over(server, message, work.to)
    return {"message_id": message["Message-ID"]}


def _compose(work: SendEmail, job_id: UUID) -> EmailMessage:
    sender = settings().mail_from
    message = EmailMessage()
    message["From"] = sender
    message["To"] = work.to
    # Some characters that are no \r or \n end a line too, and no header may hold one.
    message["Subject"] = " ".join(work.subject.splitlines())
    message["Date"] = localtime()
    message["Message-ID"] = f"<{job_id}@{parseaddr(sender)[1].rpartition('@')[2]}>"
    message.set_content(work.text)
    for name in work.attachments:
        _attach(message, name)
    return message


def _attach(message: EmailMessage, name: str) -> None:
    file_name = PurePosixPath(name).name
    maintype, subtype = (mimetypes.guess_type(name)[0] or "application/octet-stream").split("/")
    message.add_attachment(
        documents().get(name), maintype=maintype, subtype=subtype, filename=file_name
    )


def _hand_over(server: smtplib.SMTP, message: EmailMessage, to: str) -> None:
    try:
        server.send_message(message, to_addrs=[to])
    except smtplib.SMTPNotSupportedError as error:
        raise MailRefused("the mail server takes no addresses outside ASCII") from error
    except smtplib.SMTPRecipientsRefused as error:
        [(code, answer)] = error.recipients.values()
        raise _failure(code, answer) from error
    except smtplib.SMTPResponseException as error:
        raise _failure(error.smtp_code, error.smtp_error) from error


def _failure(code: int, answer: bytes | str) -> Exception:
    text = answer.decode(errors="replace") if isinstance(answer, bytes) else answer
    said = f"the mail server answered {code} {text}"
    return MailRefused(said) if code >= 500 else MailDeferred(said)
