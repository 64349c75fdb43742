"""Tells, for the metrics, whether the relay reaches its servers."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from outbox import measures
from outbox.maintenance.outages import is_outage
from outbox.measures import Reached, Server


def reached(server: Server) -> None:
    """A connection to it is open."""
    measures.emit(Reached(server=server, is_up=True))


@contextmanager
def telling_losses() -> Iterator[None]:
    """Tell of the server whose loss ends the block."""
    try:
        yield
    except Exception as error:
        if is_outage(error):
            server: Server = "postgres" if isinstance(error, psycopg.Error) else "broker"
            measures.emit(Reached(server=server, is_up=False))
        raise
