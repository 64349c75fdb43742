"""Serializes a mail into the bytes for the mail server.

Every text is written literally. Python's newer `EmailMessage` decodes encoded words (RFC 2047) in a
header that it is given. Some versions write the decoded text, line breaks included, into the mail's
headers (header injection). The older classes, used here, decode nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from email.header import Header
from email.message import Message
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import compat32
from email.utils import formataddr, formatdate
from typing import Any
from uuid import UUID

from actors.mailing.parts import Document
from service.mail.addresses import Sender, recipient, to_ascii
from service.mail.kinds import SendEmail

SMTP_POLICY = compat32.clone(linesep="\r\n")


def message_id(job_id: UUID, sender: Sender) -> str:
    """The mail's id: the same in every attempt, so that mail programs recognise a duplicate."""
    return f"<{job_id}@{sender.domain}>"


@dataclass(frozen=True, slots=True)
class Documents:
    """The documents in a mail: the attachments, and the images by the id that the HTML has."""

    attached: tuple[Document, ...] = ()
    inline: Mapping[str, Document] = field(default_factory=dict)


def write(
    work: SendEmail,
    job_id: UUID,
    sender: Sender,
    documents: Documents,
    unsubscribe: str | None = None,
) -> bytes:
    """The whole mail, all of it ASCII but a receiver that is not. Raises DocumentMissing.

    `unsubscribe` is the link for that, if there is one.
    """
    message = _mixed(work, documents)
    message["From"] = formataddr((sender.name, sender.address))
    message["To"] = _raw(recipient(work.to).address)
    if work.reply_to:
        message["Reply-To"] = to_ascii(work.reply_to)
    message["Subject"] = _literal_header(work.subject, "Subject")
    message["Date"] = formatdate(localtime=True)
    message["Message-ID"] = message_id(job_id, sender)
    message["Auto-Submitted"] = "auto-generated"  # nobody's holiday answers it (RFC 3834)
    if unsubscribe:
        message["List-Unsubscribe"] = f"<{unsubscribe}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"  # RFC 8058
    return message.as_bytes(policy=SMTP_POLICY)


def _raw(address: str) -> str:
    """The address as the older classes write it in UTF-8 (RFC 6532), and not as encoded word."""
    return address.encode().decode("ascii", "surrogateescape")


def _literal_header(text: str, header: str) -> Header:
    """A header that decodes to exactly this text. What looks like an encoded word is encoded."""
    is_plain = text.isascii() and "=?" not in text
    return Header(text, "us-ascii" if is_plain else "utf-8", header_name=header)


def _mixed(work: SendEmail, documents: Documents) -> "Message[Any, Any]":
    """The text in all its forms, then the attachments."""
    attached = (each.attached() for each in documents.attached)
    return _multipart("mixed", _alternative(work, documents), attached)


def _alternative(work: SendEmail, documents: Documents) -> "Message[Any, Any]":
    """The text, and then the HTML, which mail programs prefer, with its images."""
    text = MIMEText(work.text, "plain", "utf-8")
    if work.html is None:
        return text
    images = (image.shown(content_id) for content_id, image in documents.inline.items())
    html = _multipart("related", MIMEText(work.html, "html", "utf-8"), images)
    return _multipart("alternative", text, [html])


def _multipart(
    subtype: str, first: "Message[Any, Any]", others: "Iterable[Message[Any, Any]]"
) -> "Message[Any, Any]":
    """The first alone, or together with the others."""
    parts = [first, *others]
    if len(parts) == 1:
        return first
    message: Message[Any, Any] = MIMEMultipart(subtype)
    for part in parts:
        message.attach(part)
    return message
