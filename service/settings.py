"""The service's settings, in addition to the library's.

docs/reference.md lists them all.
"""

import re
from datetime import timedelta
from functools import cached_property, lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

import outbox.settings
from outbox.settings import Duration, Retention, parsed_by
from service.charging import provider_url
from service.documents import keys as document_keys
from service.documents import url as document_url
from service.documents.keys import Key
from service.mail import addresses, rate, server, unsubscribe
from service.mail.addresses import Sender
from service.mail.server import MailServer
from service.reports import period


def _own_folder() -> str:
    """A folder in the home of the user who runs the process."""
    return (Path.home() / ".local/share/duly/documents").as_uri()


def _networks(given: object) -> object:
    """Parse a list of networks, separated by commas. Raises ValueError."""
    if not isinstance(given, str):
        return given
    return tuple(ip_network(each.strip()) for each in given.split(",") if each.strip())


Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode, BeforeValidator(_networks)]
"""Networks in CIDR notation, separated by commas."""


DNS_NAME = r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$"


def _https(url: str) -> None:
    """Check an address that is put into mails. Raises ValueError."""
    where = urlsplit(url)
    if where.scheme != "https" or not where.netloc or where.query or where.fragment:
        raise ValueError("must be a URL such as https://example.com/v1/unsubscribe")


def _hook_secrets(given: object) -> object:
    """Parse Stripe's secrets, separated by commas. Raises ValueError, which does not quote them."""
    if not isinstance(given, str):
        return given
    found = tuple(each.strip() for each in given.split(",") if each.strip())
    if not all(map(HOOK_SECRET.fullmatch, found)):
        raise ValueError("must be secrets such as whsec_..., separated by commas")
    return found


HOOK_SECRET = re.compile(r"whsec_[A-Za-z0-9+/_-]+={0,2}")
HookSecrets = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_hook_secrets)]
"""The secrets of webhook endpoints at Stripe, separated by commas."""


SHORTEST_SECRET = 32


def _long_enough(secret: SecretStr) -> SecretStr:
    """Check a secret that signs links. Raises ValueError, which does not quote it."""
    if len(secret.get_secret_value()) < SHORTEST_SECRET:
        raise ValueError(f"must have {SHORTEST_SECRET} characters or more, chosen at random")
    return secret


LinkSecret = Annotated[SecretStr, AfterValidator(_long_enough)]
"""A secret that signs links: whoever has it can make some."""


class Settings(outbox.settings.Settings):
    """The service's settings by subject, each read from `DULY_<NAME>`."""

    # Documents
    documents_url: Annotated[str, parsed_by(document_url.check)] = Field(
        default_factory=_own_folder
    )
    """The document store: `file:///folder` or `s3://bucket/prefix`."""
    documents_keys: Annotated[str, parsed_by(document_keys.read_keys)] | None = None
    """Keys that documents are encrypted with, `ID:BASE64` each, the newest first; may be none."""

    # Charging
    stripe_key: SecretStr | None = None
    """The secret key of the account at Stripe. Only workers need it, to charge and to refund."""
    stripe_url: Annotated[str, parsed_by(provider_url.check)] = "https://api.stripe.com"
    """Where Stripe's API is; elsewhere for tests."""

    # Files
    largest_file: int = Field(default=1_000_000_000, ge=1000, le=1_000_000_000_000)
    """The largest file that may be uploaded, in bytes. Larger ones are rejected with 413."""
    keep_files: Retention = timedelta(days=7)
    """How long an uploaded file is kept that says nothing else, unless something needs it."""

    # Images
    largest_image: int = Field(default=50_000_000, ge=10_000, le=500_000_000)
    """The largest image that is processed, in pixels. A pixel takes four bytes of memory."""

    # Imports
    largest_import: int = Field(default=1_000_000_000, ge=1_000_000, le=100_000_000_000)
    """The largest file that may be imported, in bytes. Larger ones are rejected with 413."""

    # Mail
    smtp_url: Annotated[str, parsed_by(server.read)] = "smtp://127.0.0.1:25"
    """The mail server: `smtp://[user:password@]host[:port][?starttls=require]`, or `smtps://`."""
    mail_from: Annotated[str, parsed_by(addresses.sender)] = "Duly <invoices@localhost>"
    """The sender of mails: one address, with or without a name."""
    mail_rate: Annotated[str, parsed_by(rate.read)] | None = None
    """How many mails the server takes in a time, such as `100/1m`."""
    mail_bounces_to: Annotated[str, parsed_by(addresses.to_ascii)] | None = None
    """Where mails that bounce are returned to; a mail's id is added to it, as `+<id>`."""
    mail_unsubscribe_url: Annotated[str, parsed_by(_https)] | None = None
    """The address at which receivers reach `/v1/unsubscribe`."""
    mail_secret: LinkSecret | None = None
    """Signs the links with which receivers unsubscribe."""
    keep_emails: Retention = timedelta(days=365)
    """How long it is kept what became of a mail. `forever` deletes nothing."""
    dkim_key: Path | None = None
    """The file of the RSA key that signs mails, as PEM."""
    dkim_selector: Annotated[str, Field(pattern=DNS_NAME)] = "duly"
    """The name below `_domainkey` at which the domain publishes the key."""
    dkim_domain: Annotated[str, Field(pattern=DNS_NAME)] | None = None
    """The domain that signs; the sender's, if it is not set."""

    # Reports
    links_secret: LinkSecret | None = None
    """Signs links to download reports. All API processes need the same. Without it, no links."""
    keep_reports: Retention = timedelta(days=90)
    """How long the files of a report are kept. `forever` deletes none."""
    reports_zone: Annotated[str, parsed_by(period.check_zone)] = "UTC"
    """The time zone of a report's days, and of the monthly schedule."""

    # Webhooks in
    stripe_webhook_secrets: HookSecrets = ()
    """The secrets with which Stripe may sign its events; several while they are rotated."""
    keep_hook_events: Retention = timedelta(days=90)
    """How long events that came by webhook are kept, also those that became no job."""

    # Webhooks out
    webhooks_deny: Networks = ()
    """Networks that webhooks are never delivered to: `203.0.113.0/24,2001:db8::/32`."""
    webhooks_may_reach_private: bool = False
    """Whether webhooks may be delivered to addresses that are not public (for development)."""
    webhooks_give_up_after: Duration = Field(
        default=timedelta(days=5), ge=timedelta(minutes=1), le=timedelta(days=366)
    )
    """How long each delivery to an endpoint may fail before that is switched off."""
    keep_deliveries: Retention = timedelta(days=30)
    """How long it is kept what was delivered to webhook endpoints. `forever` deletes nothing."""

    @cached_property
    def document_keys(self) -> tuple[Key, ...]:
        """The keys in `documents_keys`, the newest first."""
        return document_keys.read_keys(self.documents_keys or "")

    @cached_property
    def mail_server(self) -> MailServer:
        """The mail server at `smtp_url`."""
        return server.read(self.smtp_url)

    @cached_property
    def sender(self) -> Sender:
        """The sender in `mail_from`."""
        return addresses.sender(self.mail_from)

    def return_path(self, email_id: UUID) -> str:
        """The address to which the mail is returned if it bounces, in ASCII."""
        if self.mail_bounces_to is None:
            return self.sender.address
        local, _, domain = addresses.to_ascii(self.mail_bounces_to).rpartition("@")
        return f"{local}+{email_id}@{domain}"

    def unsubscribe_link(self, email_id: UUID) -> str | None:
        """The link with which the mail's receiver unsubscribes; None if that is not set up."""
        if self.mail_unsubscribe_url is None or self.mail_secret is None:
            return None
        token = unsubscribe.token(email_id, self.mail_secret.get_secret_value())
        return f"{self.mail_unsubscribe_url.rstrip('/')}/{token}"


@lru_cache
def settings() -> Settings:
    """The process's settings, read once. Raises pydantic.ValidationError if one is invalid."""
    return Settings()
