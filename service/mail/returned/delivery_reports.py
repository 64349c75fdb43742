"""Reads what mail servers send back: reports of delivery (RFC 3464), and complaints (RFC 5965).

Who sends such a message is unknown, so nothing in it is believed but which mail it is about, and
what became of that.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.errors import MessageError
from email.message import Message
from email.policy import compat32
from typing import Any, TypeAlias
from uuid import UUID

from service.mail import status

Part: TypeAlias = "Message[Any, Any]"

ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
RECEIVED_BY = ("To", "Delivered-To", "X-Original-To")
"""Headers of the report with the address that it was sent to, which may name the mail."""
LONGEST_SAID = 500
MOST_PARTS = 100


@dataclass(frozen=True, slots=True)
class Report:
    """What became of one mail. `emails` are the ids that the report may mean, the surest first."""

    emails: tuple[UUID, ...]
    action: str
    """`failed`, `delayed`, `delivered` and so on, or `complained`."""
    status: str | None
    """Such as `5.1.1`."""
    said: str
    """What the server said of it."""

    @property
    def is_hard(self) -> bool:
        """Whether mail to the address will never arrive."""
        return self.action == "failed" and status.is_address_gone(self.status)


def read(raw: bytes) -> Report | None:
    """The report in a message; None if it has none, such as a reply from somebody on holiday."""
    try:
        message = message_from_bytes(raw, policy=compat32)
        parts = [part for part, _ in zip(message.walk(), range(MOST_PARTS), strict=False)]
        for fields in _fields(parts):
            if report := _report(fields, tuple(dict.fromkeys(_ids(message, parts)))):
                return report
    except (MessageError, ValueError, LookupError, RecursionError):
        return None  # as broken as only mail can be
    return None


def _fields(parts: Iterable[Part]) -> Iterator[Part]:
    """The groups of fields about a delivery or a complaint."""
    for part in parts:
        if part.get_content_type() in ("message/delivery-status", "message/feedback-report"):
            groups = part.get_payload()
            yield from (each for each in groups if isinstance(each, Message))


def _report(fields: Part, emails: tuple[UUID, ...]) -> Report | None:
    if kind := _text(fields, "Feedback-Type").lower():
        action = "complained" if kind in ("abuse", "fraud", "virus") else kind
        return Report(emails, action, None, f"{kind} report")
    if action := _text(fields, "Action").lower():
        code = status.of(_text(fields, "Status"))
        said = _text(fields, "Diagnostic-Code").partition(";")[2].strip()
        return Report(emails, action, code, said[:LONGEST_SAID])
    return None


def _ids(message: Part, parts: Iterable[Part]) -> Iterator[UUID]:
    """From the address of the report, from its fields, from the mail that it brings back."""
    texts = [_text(message, name) for name in RECEIVED_BY]
    for part in parts:
        texts += [_text(part, name) for name in ("Original-Envelope-Id", "Original-Rcpt-To")]
    for part in parts:
        if part is not message:
            texts.append(_text(part, "Message-ID"))
        if part.get_content_type() == "text/rfc822-headers":
            content = part.get_payload(decode=True)
            headers = message_from_bytes(content if isinstance(content, bytes) else b"")
            texts.append(_text(headers, "Message-ID"))
    for text in texts:
        yield from (UUID(found) for found in ID.findall(text))


def _text(part: Part, name: str) -> str:
    """The header in one line, or an empty text."""
    return " ".join(str(part.get(name, "")).split())
