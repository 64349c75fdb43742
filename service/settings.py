"""The service's settings, in addition to the library's.

docs/reference.md lists them all.
"""

from functools import cached_property, lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

import outbox.settings
from outbox.settings import parsed_by
from service import document_url
from service.charging import provider_url
from service.mail import addresses, server
from service.mail.addresses import Sender
from service.mail.server import MailServer


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


class Settings(outbox.settings.Settings):
    """The service's settings, each read from `DULY_<NAME>`."""

    documents_url: Annotated[str, parsed_by(document_url.check)] = Field(
        default_factory=_own_folder
    )
    """The document store: `file:///folder` or `s3://bucket/prefix`."""
    smtp_url: Annotated[str, parsed_by(server.read)] = "smtp://127.0.0.1:25"
    """The mail server: `smtp://[user:password@]host[:port][?starttls=require]`, or `smtps://`."""
    mail_from: Annotated[str, parsed_by(addresses.sender)] = "Duly <invoices@localhost>"
    """The sender of mails: one address, with or without a name."""
    stripe_key: SecretStr | None = None
    """The secret key of the account at Stripe. Only workers need it, to charge and to refund."""
    stripe_url: Annotated[str, parsed_by(provider_url.check)] = "https://api.stripe.com"
    """Where Stripe's API is; elsewhere for tests."""
    webhooks_deny: Networks = ()
    """Networks that webhooks are never delivered to: `203.0.113.0/24,2001:db8::/32`."""
    webhooks_may_reach_private: bool = False
    """Whether webhooks may be delivered to addresses that are not public (for development)."""

    @cached_property
    def mail_server(self) -> MailServer:
        """The mail server at `smtp_url`."""
        return server.read(self.smtp_url)

    @cached_property
    def sender(self) -> Sender:
        """The sender in `mail_from`."""
        return addresses.sender(self.mail_from)


@lru_cache
def settings() -> Settings:
    """The process's settings, read once. Raises pydantic.ValidationError if one is invalid."""
    return Settings()
