"""What is looked at: an app, its settings and its servers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import MetaData

from outbox.actors import Actors
from outbox.doctor.found import Skip
from outbox.doctor.servers.broker import Broker
from outbox.doctor.servers.management import Management
from outbox.doctor.servers.postgres import Postgres
from outbox.kinds import Kinds
from outbox.settings import Settings

if TYPE_CHECKING:
    from outbox.doctor.check import Check


@dataclass(frozen=True, slots=True)
class Setup:
    """An app and its settings. Servers are connected to when a check asks one."""

    kinds: Kinds
    settings: Settings
    checks: Sequence["Check"] = ()
    """The app's own."""
    tables: MetaData = field(default_factory=MetaData)
    """The app's own."""
    migrations: Callable[[], Path | None] = lambda: None
    """The folder of the app's Alembic migrations, if any."""
    actors: Callable[[], Actors] | None = None
    """The app's actors; None in a process that does not import them, such as an API."""

    @property
    def postgres(self) -> Postgres:
        """The Postgres at DATABASE_URL."""
        return Postgres(self.settings.database_url)

    @property
    def broker(self) -> Broker:
        """The RabbitMQ at AMQP_URL. Raises Skip if that is not set."""
        if self.settings.amqp_url is None:
            raise Skip("AMQP_URL is not set for this process; relays and workers need it")
        return Broker(self.settings.amqp_url)

    @property
    def management(self) -> Management:
        """RabbitMQ's management API. Raises Skip if its address or AMQP_URL is not set."""
        if self.settings.management_url is None:
            raise Skip("DULY_MANAGEMENT_URL is not set")
        return Management(self.settings.management_url, self.broker.vhost)
