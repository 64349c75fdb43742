"""Serializes a mail into the bytes for the mail server.

Every text is written literally. Python's newer `EmailMessage` decodes encoded words (RFC 2047) in a
header that it is given. Some versions write the decoded text, line breaks included, into the mail's
headers (header injection). The older classes, used here, decode nothing.
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
from service.mail.addresses import Sender
from service.mail.kinds import SendEmail

NEVER_BASE64 = ("message", "multipart")
"""Types that must not be in base64 (RFC 2045, 6.4), as attachments are here."""
SMTP_POLICY = compat32.clone(linesep="\r\n")


def message_id(job_id: UUID, sender: Sender) -> str:
    """The mail's id: the same in every attempt, so that mail programs recognise a duplicate."""
    return f"<{job_id}@{sender.domain}>"


def write(work: SendEmail, job_id: UUID, sender: Sender, recipient: str) -> bytes:
    """The whole mail. Both addresses must be ASCII. Raises DocumentMissing."""
    message = _body(work)
    message["From"] = formataddr((sender.name, sender.address))
    message["To"] = recipient
    message["Subject"] = _literal_header(work.subject, "Subject")
    message["Date"] = formatdate(localtime=True)
    message["Message-ID"] = message_id(job_id, sender)
    return message.as_bytes(policy=SMTP_POLICY)


def _literal_header(text: str, header: str) -> Header:
    """A header that decodes to exactly this text. What looks like an encoded word is encoded."""
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
    if subtype and maintype not in NEVER_BASE64:
        attached.replace_header("Content-Type", f"{maintype}/{subtype}")
    attached.add_header("Content-Disposition", "attachment", filename=file_name)
    return attached
