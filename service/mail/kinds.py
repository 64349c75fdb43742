"""The jobs of mail."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from outbox import Kind, Retry
from service.documents import LONGEST_NAME, NAME
from service.mail.addresses import MailAddress
from service.mail.one_line import OneLine
from service.payload import Payload

DocumentName = Annotated[str, Field(pattern=f"^(?:{NAME.pattern})$", max_length=LONGEST_NAME)]


class SendEmail(Payload):
    """One mail to one person. Attachments are names in the document store."""

    to: MailAddress
    subject: Annotated[OneLine, Field(max_length=200)]
    text: Annotated[str, Field(max_length=100_000)]
    attachments: Annotated[tuple[DocumentName, ...], Field(max_length=10)] = ()


class MailRefused(Exception):
    """The mail server rejected this mail permanently (a 5xx reply)."""


SEND_EMAIL = Kind(
    "email.send",
    SendEmail,
    queue="email",
    time_limit=timedelta(minutes=12),  # a mail server may take ten to answer
    retry=Retry(attempts=8, never=(MailRefused,), uncertain=1),
    sensitive=("to", "text"),
    owner="messaging",
    idempotency="the same Message-ID; an uncertain answer is tried once more",
)
