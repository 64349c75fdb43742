"""Mails and suppressions in requests and responses of the API."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, computed_field, model_validator

from outbox.operations.api_keys import Caller, Scope
from outbox.redaction.fields import HIDDEN
from service.mail import suppressions
from service.mail.addresses import AsciiMailAddress, MailAddress
from service.mail.kinds import LONGEST_HTML, Attachment, Category, ContentId
from service.mail.models import Email, Suppression
from service.mail.one_line import OneLine

State = Literal["queued", "sent", "refused", "suppressed", "uncertain", "bounced"]
Reason = Literal["bounce", "complaint", "unsubscribe", "person"]
TemplateName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=50)]


class NewEmail(BaseModel):
    """A mail to send: a subject with text, HTML or both, or a template with its data.

    Attachments and images are files, or names in the document store; `inline` names images by the
    id with which the HTML shows them, `<img src="cid:logo">`. `when_uncertain` says what follows if
    the mail server has got the mail and its answer is lost: it is sent `again`, once, with the same
    Message-ID, or it `stop`s there, as a dead letter for a person to look at.
    """

    model_config = ConfigDict(extra="forbid")

    to: MailAddress
    subject: Annotated[OneLine, Field(max_length=200)] | None = None
    text: Annotated[str, Field(max_length=100_000)] | None = None
    html: Annotated[str, Field(max_length=LONGEST_HTML)] | None = None
    template: TemplateName | None = None
    data: dict[str, Any] = Field(default_factory=dict)
    inline: Annotated[dict[ContentId, Attachment], Field(max_length=10)] = Field(
        default_factory=dict
    )
    attachments: Annotated[tuple[Attachment, ...], Field(max_length=10)] = ()
    reply_to: AsciiMailAddress | None = None
    category: Category | None = None
    list_unsubscribe: Annotated[
        bool, Field(description="Lets the receiver unsubscribe from the category with one click.")
    ] = False
    when_uncertain: Literal["again", "stop"] = "again"

    @model_validator(mode="after")
    def _check_content(self) -> Self:
        written = self.subject, self.text, self.html
        if self.template is not None:
            if any(each is not None for each in written):
                raise ValueError("a template makes subject, text and html: leave them out")
        elif self.data:
            raise ValueError("data is for a template")
        elif self.subject is None or (self.text is None and self.html is None):
            raise ValueError("needs a subject with text or html, or a template")
        return self


class EmailShown(BaseModel):
    """A mail, and what became of it. Its job is at `links.job`, until that is deleted.

    `uncertain` means that the mail server has got it and its answer is lost. `to` and `reply`, what
    the server said, are hidden without the scope `payloads`.
    """

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    to: str = Field(validation_alias="recipient")
    category: str | None
    state: State
    reply: str | None
    created_at: datetime
    changed_at: datetime

    @computed_field
    def links(self) -> dict[str, str]:
        """Where the mail and its job are."""
        return {"self": f"/v1/emails/{self.id}", "job": f"/v1/jobs/{self.id}"}

    @classmethod
    def of(cls, email: Email, by: Caller) -> "EmailShown":
        """The mail as this caller may see it."""
        shown = cls.model_validate(email)
        if by.may(Scope.PAYLOADS):
            return shown
        hidden = {"to": HIDDEN, "reply": shown.reply and HIDDEN}
        return shown.model_copy(update=hidden)


class EmailPage(BaseModel):
    """A page of mails, newest first."""

    emails: list[EmailShown]
    next_cursor: str | None


class TemplateShown(BaseModel):
    """A template of mails, and the names of the data that it needs."""

    name: str
    fields: list[str]


class TemplateList(BaseModel):
    """All templates of mails."""

    mail_templates: list[TemplateShown]


class NewSuppression(BaseModel):
    """An address that shall get no more mail: of a category, or none at all."""

    model_config = ConfigDict(extra="forbid")

    address: MailAddress
    category: Category | Literal["*"] = suppressions.ALL


class SuppressionShown(BaseModel):
    """An address that gets no more mail of a category; `*` is all mail.

    `address` is hidden without the scope `payloads`.
    """

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    address: str
    category: str
    reason: Reason
    email_id: UUID | None
    created_at: datetime

    @classmethod
    def of(cls, suppression: Suppression, by: Caller) -> "SuppressionShown":
        """The suppression as this caller may see it."""
        shown = cls.model_validate(suppression)
        if by.may(Scope.PAYLOADS):
            return shown
        return shown.model_copy(update={"address": HIDDEN})


class SuppressionPage(BaseModel):
    """A page of suppressions, newest first."""

    suppressions: list[SuppressionShown]
    next_cursor: str | None


class BounceTaken(BaseModel):
    """What a returned message has changed. `ignored`: it is about no mail of ours, or no bounce."""

    outcome: Literal["bounced", "complained", "ignored"]
    email_id: UUID | None
    is_suppressed: bool = Field(description="Whether the receiver of that mail gets no more now.")


class Unsubscribed(BaseModel):
    """The receiver gets no more mail of this category."""

    category: str
