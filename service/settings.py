"""Every setting, read from the environment; docs/reference.md lists them."""

from datetime import timedelta
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated

import psycopg
from psycopg.conninfo import conninfo_to_dict
from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from outbox.link import parameters


def _seconds(given: object) -> object:
    return (
        f"PT{given}S" if isinstance(given, str) and given.replace(".", "", 1).isdigit() else given
    )


def _unless_forever(given: object) -> object:
    return None if given == "forever" else given


def _postgres(address: str) -> str:
    """Raises ValueError, which does not quote the address: it has a password."""
    try:
        is_address = bool(conninfo_to_dict(address))
    except psycopg.ProgrammingError:
        is_address = False
    if not is_address:
        raise ValueError(
            "must be what libpq reads, like postgresql://user@host/database or service=name"
        )
    return address


def _amqp(urls: str) -> str:
    """Raises ValueError, which quotes none of them."""
    try:
        parameters(urls)
    except (ValueError, IndexError, AttributeError):
        well = False
    else:
        well = all(url.startswith(("amqp://", "amqps://")) for url in urls.split(";"))
    if not well:
        raise ValueError("must be a URL like amqp://user:password@host/vhost")
    return urls


Duration = Annotated[timedelta, BeforeValidator(_seconds)]
"""A number of seconds, or ISO 8601 such as `PT2M`."""
Retention = Annotated[
    Annotated[Duration, Field(ge=timedelta(), le=timedelta(days=50 * 365))] | None,
    BeforeValidator(_unless_forever),
]
"""A duration of at most fifty years, or `forever`."""


def _own_folder() -> str:
    """A folder of the user who runs the process."""
    return (Path.home() / ".local/share/duly/documents").as_uri()


def _networks(given: object) -> object:
    """Raises ValueError for what is no list of networks."""
    if not isinstance(given, str):
        return given
    return tuple(ip_network(each.strip()) for each in given.split(",") if each.strip())


Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode, BeforeValidator(_networks)]
"""Networks in CIDR notation, with commas in between."""


class Settings(BaseSettings):
    """The service's settings. Each is read from `DULY_<NAME>`, two from their usual names."""

    model_config = SettingsConfigDict(env_prefix="DULY_")

    database_url: Annotated[str, AfterValidator(_postgres)] = Field(validation_alias="DATABASE_URL")
    """As libpq reads it: `postgresql://…`, `key=value` pairs, or `service=name`."""
    listen_url: Annotated[str, AfterValidator(_postgres)] | None = None
    """The way to the same Postgres past a pooler, for relays to hear of new jobs at once."""
    amqp_url: Annotated[str, AfterValidator(_amqp)] = Field(validation_alias="AMQP_URL")
    """`amqp://…`, as pika reads it; for a cluster those of its nodes, with `;` in between."""

    actors: str = "actors:ACTORS"
    """Where `duly worker` finds the actors, as `module:name`."""
    documents_url: str = Field(default_factory=_own_folder)
    """The document store: `file:///folder` or `s3://bucket/prefix`."""
    smtp_url: str = "smtp://127.0.0.1:25"
    """`smtp://[user:password@]host[:port][?starttls=require]`, or `smtps://`."""
    mail_from: str = "Duly <invoices@localhost>"
    webhooks_deny: Networks = ()
    """Networks that no webhook is delivered to: `203.0.113.0/24,2001:db8::/32`."""
    webhooks_may_reach_private: bool = False
    """Whether webhooks may be delivered to addresses that are not public (for development)."""

    window: int = Field(1000, ge=1)
    """How many messages the relay keeps in each broker queue; the rest waits in Postgres."""
    worker_silence: Duration = timedelta(seconds=10)
    """A worker that sent no heartbeat for so long is taken for dead, and its jobs are rescued."""
    redispatch_after: Duration = timedelta(seconds=30)
    """When a published job that no worker has claimed is looked for, in case the broker lost it."""
    unknown_after: Duration = timedelta(hours=1)
    """When a job is dead whose kind or payload no worker knows; until then it waits for one."""
    keep_finished: Retention = timedelta(days=30)
    """How long jobs are kept that succeeded or were cancelled; `forever` deletes none."""
    largest_body: int = Field(1_000_000, ge=1000)
    """Request bodies over so many bytes are refused with 413."""
    idempotency_hours: int = Field(24, ge=1)
    """How long an Idempotency-Key's first answer is kept."""
    log_format: str = Field("console", pattern="^(console|json)$")


@lru_cache
def settings() -> Settings:
    """The process's settings, read once. Raises pydantic.ValidationError where one is wrong."""
    return Settings()
