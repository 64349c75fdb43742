"""Webhook endpoints in requests and responses of the API."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import (
    AfterValidator,
    AnyUrl,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    UrlConstraints,
    computed_field,
)

from outbox.http.auth.record import LONGEST_REASON
from outbox.operations.api_keys import Caller, Scope
from service.mail.addresses import MailAddress
from service.mail.one_line import OneLine
from service.webhooks.models import WebhookEndpoint
from service.webhooks.urls import without_tokens


def _number(given: object) -> object:
    if isinstance(given, bool):
        raise ValueError("must be a number")  # noqa: TRY004 - pydantic's way
    return given


def _without_password(url: AnyUrl) -> AnyUrl:
    if url.username or url.password:
        raise ValueError("must not contain a user name or password")
    return url


Address = Annotated[
    AnyUrl,
    UrlConstraints(max_length=2000, allowed_schemes=["http", "https"], host_required=True),
    AfterValidator(_without_password),
]
Event = Annotated[str, Field(pattern=r"^(\*|[a-z0-9_]+(\.[a-z0-9_]+)+)$", max_length=100)]


Events = Annotated[list[Event], Field(min_length=1, max_length=50)]
Description = Annotated[OneLine, Field(max_length=200)]
Reason = Annotated[str, Field(max_length=LONGEST_REASON, pattern=r"^[^\x00]*$")]
NULLABLE = ("description", "owner_email")


class NewEndpoint(BaseModel):
    """An address to call, and the events to send it. `*` means all events.

    `owner_email` is told when the endpoint is switched off. If `ordered`, an event arrives after
    the earlier ones about the same thing, such as an invoice; one that fails holds the later ones
    up until it has arrived or is given up.
    """

    model_config = ConfigDict(extra="forbid")

    url: Address
    events: Events
    description: Description | None = None
    owner_email: MailAddress | None = None
    ordered: StrictBool = False

    def draft(self, secret: str) -> WebhookEndpoint:
        """The row to insert."""
        return WebhookEndpoint(**self.model_dump(exclude={"url"}), url=str(self.url), secret=secret)


class EndpointChanges(BaseModel):
    """What is to change. What is not given stays; null takes a description or an owner away.

    `ordered` holds for events from now on.
    """

    model_config = ConfigDict(extra="forbid")

    url: Address | None = None
    events: Events | None = None
    description: Description | None = None
    owner_email: MailAddress | None = None
    ordered: StrictBool | None = None
    why: Reason | None = None

    def apply(self, endpoint: WebhookEndpoint) -> None:
        """Change the row. Whether the endpoint is failing is not known of a new address."""
        for name, value in self.model_dump(exclude={"why", "url"}, exclude_unset=True).items():
            if value is not None or name in NULLABLE:
                setattr(endpoint, name, value)
        if self.url is not None:
            endpoint.url, endpoint.failing_since = str(self.url), None


class EndpointShown(BaseModel):
    """A webhook endpoint. `disabled_at` is set when it is switched off, and `disabled_because`.

    That happens when it answers 410 Gone, or when each delivery has failed for days.
    `links.missed` lists deliveries that failed. The path and query of `url` may contain a token, so
    they are hidden without the scope `payloads`.
    """

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    url: str
    events: list[str]
    description: str | None
    owner_email: str | None
    ordered: bool
    created_at: datetime
    failing_since: datetime | None = Field(
        description="Since when no delivery has arrived; null if the newest attempt did."
    )
    disabled_at: datetime | None
    disabled_because: str | None
    old_secret_until: datetime | None = Field(
        description="Until then deliveries are signed with the secret before the last rotation too."
    )

    @computed_field
    def links(self) -> dict[str, str]:
        """Where to enable the endpoint again, and where its deliveries are listed."""
        path = f"/v1/webhook-endpoints/{self.id}"
        return {
            "self": path,
            "enable": f"{path}/enable",
            "deliveries": f"{path}/deliveries",
            "missed": f"{path}/deliveries?state=failed",
            "redeliver": f"{path}/redeliver",
        }

    @classmethod
    def of(cls, endpoint: WebhookEndpoint, by: Caller) -> "EndpointShown":
        """The endpoint as this caller may see it."""
        shown = cls.model_validate(endpoint)
        if by.may(Scope.PAYLOADS):
            return shown
        return shown.model_copy(update={"url": without_tokens(shown.url)})


class EndpointMade(EndpointShown):
    """A new webhook endpoint with its secret, which is never shown again."""

    secret: str


class EndpointPage(BaseModel):
    """A page of webhook endpoints, newest first."""

    webhook_endpoints: list[EndpointShown]
    next_cursor: str | None


class EndpointRotation(BaseModel):
    """For how long the secret that is replaced still signs beside the new one."""

    model_config = ConfigDict(extra="forbid")

    overlap_hours: Annotated[int, Field(ge=0, le=720), BeforeValidator(_number)] = 24
    why: Reason | None = None


class Rotated(BaseModel):
    """The new secret, which is never shown again."""

    secret: str
    old_secret_until: datetime | None = Field(
        description="Until then each delivery has two signatures. Null without an overlap."
    )
