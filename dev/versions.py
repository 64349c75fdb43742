"""Which servers these are, by their own account."""

from collections.abc import Sequence

import pika
import psycopg


def postgres_version(database_url: str) -> str:
    """Such as `15.18`. Raises psycopg's errors."""
    with psycopg.connect(database_url) as connection:
        told = connection.info.parameter_status("server_version") or ""
    return told.split()[0]  # Debian's says after it whose it is


def rabbitmq_version(nodes: Sequence[pika.URLParameters]) -> str:
    """Such as `3.10.8`, of the first node that answers. Raises pika's errors."""
    with pika.BlockingConnection(nodes) as connection:
        properties = connection._impl.server_properties or {}  # noqa: SLF001 - shown nowhere else
    version: str = properties["version"]
    return version
