"""Writes a mail down as the bytes that go to the mail server.

Every text is written as what it is. Python's newer `EmailMessage` reads encoded words (RFC 2047) in
a header that it is given, and some versions write what they decode to, line ends included, into the
mail's head. The older classes, used here, read nothing.
"""

import mimetypes
from email.header import Header
from email.message import Message
from email.mime.application import MIMEApplication
from email.mime.base import MIMEBase
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import compat32
from email.utils import formataddr, formatdate
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

from service.documents import documents
from service.kinds import SendEmail
from service.mail.addresses import Sender

NOT_ENCODED = ("message", "multipart")
"""What may not be written in base64 (RFC 2045, 6.4), as attachments are here."""
ON_THE_WIRE = compat32.clone(linesep="\r\n")


def message_id(job_id: UUID, sender: Sender) -> str:
    """The same in every attempt, so that mail programs know a double."""
    return f"<{job_id}@{sender.domain}>"


def write(work: SendEmail, job_id: UUID, sender: Sender, recipient: str) -> bytes:
    """The whole mail; both addresses are in ASCII. Raises DocumentMissing."""
    message = _body(work)
    message["From"] = formataddr((sender.name, sender.address))
    message["To"] = recipient
    message["Subject"] = _literally(work.subject, "Subject")
    message["Date"] = formatdate(localtime=True)
    message["Message-ID"] = message_id(job_id, sender)
    return message.as_bytes(policy=ON_THE_WIRE)


def _literally(text: str, header: str) -> Header:
    """A header that is read as this very text: one that could be read otherwise is encoded."""
    is_plain = text.isascii() and "=?" not in text
    return Header(text, "us-ascii" if is_plain else "utf-8", header_name=header)


def _body(work: SendEmail) -> "Message[Any, Any]":
    text = MIMEText(work.text, "plain", "utf-8")
    if not work.attachments:
        return text
    message = MIMEMultipart()
    message.attach(text)
    for name in work.attachments:
        message.attach(_attachment(name))
    return message


def _attachment(name: str) -> MIMEBase:
    file_name = PurePosixPath(name).name
    maintype, _, subtype = (mimetypes.guess_type(name)[0] or "").partition("/")
    attached = MIMEApplication(documents().get(name), "octet-stream")
    if subtype and maintype not in NOT_ENCODED:
        attached.replace_header("Content-Type", f"{maintype}/{subtype}")
    attached.add_header("Content-Disposition", "attachment", filename=file_name)
    return attached
