"""Webhook endpoints in requests and responses of the API."""

from datetime import datetime
from typing import Annotated
from urllib.parse import urlencode, urlsplit
from uuid import UUID

from pydantic import (
    AfterValidator,
    AnyUrl,
    BaseModel,
    ConfigDict,
    Field,
    UrlConstraints,
    computed_field,
)

from outbox.operations.api_keys import Caller, Scope
from outbox.redaction.fields import HIDDEN
from service.webhooks.kinds import DELIVER_WEBHOOK
from service.webhooks.models import WebhookEndpoint


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


def _without_tokens(url: str) -> str:
    where = urlsplit(url)
    bare = f"{where.scheme}://{where.netloc}/"
    return url if url in (bare, bare[:-1]) else bare + HIDDEN


class NewEndpoint(BaseModel):
    """An address to call, and the events to send it. `*` means all events."""

    model_config = ConfigDict(extra="forbid")

    url: Address
    events: Annotated[list[Event], Field(min_length=1, max_length=50)]


class EndpointShown(BaseModel):
    """A webhook endpoint. `disabled_at` is set when it answers 410 Gone.

    `links.missed` lists its missed deliveries, as dead letters that can be replayed. The path and
    query of `url` may contain a token, so they are hidden without the scope `payloads`.
    """

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    url: str
    events: list[str]
    created_at: datetime
    disabled_at: datetime | None

    @computed_field
    def links(self) -> dict[str, str]:
        """Where to enable the endpoint again, and where its missed deliveries are listed."""
        missed = urlencode({"kind": DELIVER_WEBHOOK.name, "error": str(self.id)})
        return {
            "enable": f"/v1/webhook-endpoints/{self.id}/enable",
            "missed": f"/v1/dead-letters?{missed}",
        }

    @classmethod
    def of(cls, endpoint: WebhookEndpoint, by: Caller) -> "EndpointShown":
        """The endpoint as this caller may see it."""
        shown = cls.model_validate(endpoint)
        if by.may(Scope.PAYLOADS):
            return shown
        return shown.model_copy(update={"url": _without_tokens(shown.url)})


class EndpointMade(EndpointShown):
    """A new webhook endpoint with its secret, which is never shown again."""

    secret: str


class EndpointPage(BaseModel):
    """A page of webhook endpoints, newest first."""

    webhook_endpoints: list[EndpointShown]
    next_cursor: str | None
