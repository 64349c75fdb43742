"""The library's settings, read from the environment; docs/reference.md lists them.

All of them are checked when a process starts, also those that it does not use itself. An app with
settings of its own makes a subclass.
"""

from collections.abc import Callable
from datetime import timedelta
from functools import lru_cache
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from outbox import server_addresses

DAY = timedelta(days=1)


def _seconds(given: object) -> object:
    return (
        f"PT{given}S" if isinstance(given, str) and given.replace(".", "", 1).isdigit() else given
    )


def _unless_forever(given: object) -> object:
    return None if given == "forever" else given


def read_by(read: Callable[[str], object]) -> AfterValidator:
    """Accepts a text that `read` can read. `read` raises ValueError, without quoting it."""

    def check(text: str) -> str:
        read(text)
        return text

    return AfterValidator(check)


Duration = Annotated[timedelta, BeforeValidator(_seconds)]
"""A number of seconds, or ISO 8601 such as `PT2M`."""
Retention = Annotated[
    Annotated[Duration, Field(ge=timedelta(), le=50 * 365 * DAY)] | None,
    BeforeValidator(_unless_forever),
]
"""A duration of at most fifty years, or `forever`."""
PostgresAddress = Annotated[str, read_by(server_addresses.postgres)]


class Settings(BaseSettings):
    """What each process reads. Each is read from `DULY_<NAME>`, two from their usual names."""

    model_config = SettingsConfigDict(env_prefix="DULY_")

    database_url: PostgresAddress = Field(validation_alias="DATABASE_URL")
    """As libpq reads it: `postgresql://…`, `key=value` pairs, or `service=name`."""
    listen_url: PostgresAddress | None = None
    """The way to the same Postgres past a pooler, for relays to hear of new jobs at once."""
    amqp_url: Annotated[str, read_by(server_addresses.amqp)] = Field(validation_alias="AMQP_URL")
    """`amqp://…`, as pika reads it; for a cluster those of its nodes, with `;` in between."""

    actors: str | None = Field(None, pattern=r"^[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_]*$")
    """Where `duly worker` finds the actors, as `module:name`, in place of where the app says."""

    window: int = Field(1000, ge=1, le=1_000_000_000)
    """How many messages the relay keeps in each broker queue; the rest waits in Postgres."""
    worker_silence: Duration = Field(timedelta(seconds=10), ge=timedelta(seconds=3), le=DAY)
    """A worker that sent no heartbeat for so long is taken for dead, and its jobs are rescued.

    Heartbeats come once a second: after less a live worker would be taken for dead.
    """
    redispatch_after: Duration = Field(timedelta(seconds=30), ge=timedelta(seconds=1), le=DAY)
    """When a published job that no worker has claimed is looked for, in case the broker lost it."""
    unknown_after: Duration = timedelta(hours=1)
    """When a job is dead whose kind or payload no worker knows; until then it waits for one."""
    keep_finished: Retention = timedelta(days=30)
    """How long jobs are kept that succeeded or were cancelled; `forever` deletes none."""
    largest_body: int = Field(1_000_000, ge=1000, le=1_000_000_000)
    """Request bodies over so many bytes are refused with 413."""
    idempotency_hours: int = Field(24, ge=1, le=10 * 365 * 24)
    """How long an Idempotency-Key's first answer is kept."""
    log_format: str = Field("console", pattern="^(console|json)$")


@lru_cache
def settings() -> Settings:
    """The process's settings, read once. Raises pydantic.ValidationError where one is wrong."""
    return Settings()
