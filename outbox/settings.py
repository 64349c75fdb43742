"""The library's settings, read from the environment. docs/reference.md lists them.

Every process checks all of them when it starts, even those that it does not use. An app with
settings of its own subclasses `Settings`.
"""

from collections.abc import Callable
from datetime import timedelta
from functools import lru_cache
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from outbox import server_addresses

DAY = timedelta(days=1)


def _as_duration(given: object) -> object:
    return (
        f"PT{given}S" if isinstance(given, str) and given.replace(".", "", 1).isdigit() else given
    )


def _none_if_forever(given: object) -> object:
    return None if given == "forever" else given


def parsed_by(read: Callable[[str], object]) -> AfterValidator:
    """Accept a text that `read` can read. `read` raises ValueError without quoting the text."""

    def check(text: str) -> str:
        read(text)
        return text

    return AfterValidator(check)


Duration = Annotated[timedelta, BeforeValidator(_as_duration)]
"""A number of seconds, or ISO 8601 such as `PT2M`."""
Retention = Annotated[
    Annotated[Duration, Field(ge=timedelta(), le=50 * 365 * DAY)] | None,
    BeforeValidator(_none_if_forever),
]
"""A duration of at most fifty years, or `forever`."""
PostgresAddress = Annotated[str, parsed_by(server_addresses.postgres)]


class Settings(BaseSettings):
    """Each setting is read from `DULY_<NAME>`, except DATABASE_URL and AMQP_URL."""

    model_config = SettingsConfigDict(env_prefix="DULY_")

    # `default=` by name, also of what must be set: pyright takes a setting without for an argument.
    database_url: PostgresAddress = Field(default=..., validation_alias="DATABASE_URL")
    """Postgres, as libpq reads it: `postgresql://…`, `key=value` pairs, or `service=name`."""
    listen_url: PostgresAddress | None = None
    """The same Postgres, past a pooler, for relays to LISTEN for new jobs."""
    amqp_url: Annotated[str, parsed_by(server_addresses.amqp)] | None = Field(
        default=None, validation_alias="AMQP_URL"
    )
    """`amqp://…`, as pika reads it. For a cluster, the URLs of its nodes, separated by `;`.

    Only relays, workers and `duly status` need it.
    """
    management_url: Annotated[str, parsed_by(server_addresses.management)] | None = None
    """RabbitMQ's management API, which `duly doctor` asks for what AMQP does not tell."""

    actors: str | None = Field(
        default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_]*$"
    )
    """Where `duly worker` finds the actors, as `module:name`. Overrides the app's own."""

    window: int = Field(default=1000, ge=1, le=1_000_000_000)
    """How many messages the relay keeps in each broker queue. The rest waits in Postgres."""
    worker_silence: Duration = Field(default=timedelta(seconds=10), ge=timedelta(seconds=3), le=DAY)
    """A worker without a heartbeat for this long counts as dead, and its jobs are rescued.

    Workers send a heartbeat each second: with less than 3 s, live workers would count as dead.
    """
    redispatch_after: Duration = Field(
        default=timedelta(seconds=30), ge=timedelta(seconds=1), le=DAY
    )
    """The age at which a published but unclaimed job is checked, in case the broker lost it."""
    unknown_after: Duration = timedelta(hours=1)
    """How long a job whose kind or payload no worker knows waits for one, before it is dead."""
    keep_finished: Retention = timedelta(days=30)
    """How long succeeded and cancelled jobs are kept. `forever` deletes none."""
    keep_closed: Retention = None
    """How long closed dead letters are kept, with their dead jobs. For ever unless set."""
    keep_events: Retention = timedelta(days=3)
    """How long messages to other services are kept once sent, so that they can be sent again."""
    keep_received: Retention = timedelta(days=7)
    """How long it is known which messages of other services have become jobs."""
    largest_body: int = Field(default=1_000_000, ge=1000, le=1_000_000_000)
    """The largest request body, in bytes. Larger ones are rejected with 413."""
    idempotency_hours: int = Field(default=24, ge=1, le=10 * 365 * 24)
    """For how many hours the first response to an Idempotency-Key is kept."""
    traces: bool = False
    """Whether the processes trace with OpenTelemetry, which OTEL_… variables set up."""
    log_format: str = Field(default="console", pattern="^(console|json)$")


@lru_cache
def settings() -> Settings:
    """The process's settings, read once. Raises pydantic.ValidationError if one is invalid."""
    return Settings()
