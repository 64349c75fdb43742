"""Tells, for the metrics, whether the relay reaches its servers."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from outbox.listeners import measures
from outbox.listeners.measures import Blocked, Reached, Server
from outbox.maintenance.outages import is_outage


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
            measures.emit(Blocked(is_blocked=False))  # there is no connection that it could block
        raise
