"""The jobs of mail."""

import os
import re
from datetime import timedelta
from typing import Annotated, Self

from pydantic import Field, StrictBool, model_validator

from outbox import Kind, Retry
from service.documents.store import LONGEST_NAME, NAME
from service.files.references import FileRef
from service.mail import rate
from service.mail.addresses import AsciiMailAddress, MailAddress
from service.mail.one_line import OneLine
from service.payload import Payload

DocumentName = Annotated[str, Field(pattern=f"^(?:{NAME.pattern})$", max_length=LONGEST_NAME)]
ContentId = Annotated[str, Field(pattern=r"^[A-Za-z0-9]+([._-][A-Za-z0-9]+)*$", max_length=100)]
Category = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$", max_length=50)]
LONGEST_HTML = 200_000
REFERENCE = re.compile(r"\bcid:([A-Za-z0-9._-]*[A-Za-z0-9])")


class AttachedFile(Payload):
    """A file, which is kept until the mail is sent, and what the receiver shall find it called."""

    file: FileRef
    filename: Annotated[OneLine, Field(max_length=200)]


Attachment = AttachedFile | DocumentName


class SendEmail(Payload):
    """One mail to one person. Attachments and images are files, or names in the document store.

    `inline` names images by the id with which the HTML shows them: `<img src="cid:logo">`. A mail
    with HTML has the same as text, too. `category` is what the receiver can unsubscribe from.
    """

    to: MailAddress
    subject: Annotated[OneLine, Field(max_length=200)]
    text: Annotated[str, Field(max_length=100_000)]
    html: Annotated[str, Field(max_length=LONGEST_HTML)] | None = None
    inline: Annotated[dict[ContentId, Attachment], Field(max_length=10)] = Field(
        default_factory=dict
    )
    attachments: Annotated[tuple[Attachment, ...], Field(max_length=10)] = ()
    reply_to: AsciiMailAddress | None = None
    category: Category | None = None
    list_unsubscribe: StrictBool = False

    @property
    def has_documents(self) -> bool:
        """Whether it has something from the document store in it."""
        return bool(self.documents)

    @property
    def documents(self) -> tuple[Attachment, ...]:
        """All that it takes from the document store."""
        return (*self.attachments, *self.inline.values())

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.list_unsubscribe and self.category is None:
            raise ValueError("list_unsubscribe needs a category to unsubscribe from")
        shown = set(REFERENCE.findall(self.html or ""))
        if missing := shown - set(self.inline):
            raise ValueError(f"the HTML shows cid:{min(missing)}, which `inline` lacks")
        if unused := set(self.inline) - shown:
            raise ValueError(f"the HTML does not show the inline image cid:{min(unused)}")
        return self


class MailRefused(Exception):
    """The mail cannot be sent: the mail server rejected it permanently (a 5xx reply)."""


class AddressGone(MailRefused):
    """The mail server knows for good that nobody has this address: a hard bounce."""


class PruneEmails(Payload):
    """Delete the rows of mails that are older than `Settings.keep_emails`."""


SEND_EMAIL = Kind(
    "email.send",
    SendEmail,
    queue="email",
    key=rate.server_key(os.environ.get(rate.VARIABLE)),
    time_limit=timedelta(minutes=12),  # a mail server may take ten to answer
    retry=Retry(attempts=8, never=(MailRefused,), uncertain=1),
    sensitive=("to", "text", "html", "reply_to"),
    owner="messaging",
    idempotency="the same Message-ID; an uncertain answer is tried once more",
)

SEND_EMAIL_ONCE = Kind(
    "email.send_once",
    SendEmail,
    queue="email",
    key=rate.server_key(os.environ.get(rate.VARIABLE)),
    time_limit=timedelta(minutes=12),
    retry=Retry(attempts=8, never=(MailRefused,), uncertain=0),
    sensitive=("to", "text", "html", "reply_to"),
    owner="messaging",
    idempotency="a mark before the mail leaves; an uncertain answer is never tried again",
)

PRUNE_EMAILS = Kind(
    "email.prune",
    PruneEmails,
    queue="upkeep",
    time_limit=timedelta(minutes=30),
    retry=Retry(attempts=5),
    owner="messaging",
    idempotency="what is deleted stays deleted",
)
