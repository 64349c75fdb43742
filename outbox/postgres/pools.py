"""What a SQLAlchemy pool must do so that a broken connection costs no job."""

import select
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Engine, PoolResetState, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry

from outbox.postgres.outages import OWN_ENGINE, SERVER_READ_ONLY, is_read_only

READ_ONLY_PARAMETERS = (b"in_hot_standby", b"default_transaction_read_only")
"""Parameters that Postgres reports to every client, from version 14 on."""

MADE_AT = "duly.made_at"
"""In a connection's `info`: when it was made, by the monotonic clock."""

IS_NEW = "duly.is_new"
"""In a connection's `info`: whether it has never been returned to the pool."""


def note_errors(engine: Engine) -> None:
    """Add a note to the errors of this engine's connections, for `is_own_outage`."""

    def add_notes(context: ExceptionContext) -> None:
        context.original_exception.add_note(OWN_ENGINE)
        if is_read_only(context.original_exception) and _is_server_read_only(context.connection):
            context.original_exception.add_note(SERVER_READ_ONLY)

    event.listen(engine, "handle_error", add_notes)


def replace_older(engine: Engine, than: Callable[[], float]) -> None:
    """At checkout, replace a connection made no later than that time of the monotonic clock."""

    def note_time(_: object, record: ConnectionPoolEntry) -> None:
        record.info[MADE_AT] = time.monotonic()

    event.listen(engine, "connect", note_time)
    _replace_pooled(engine, lambda record: record.info[MADE_AT] <= than())


def replace_unusable(engine: Engine) -> None:
    """Replace pooled connections that the server has ended, and those that are read-only.

    Costs no round trip: an idle server sends nothing but the end of the connection. Once a write
    is refused because Postgres is read-only, all connections made until then are replaced, as the
    address may lead to another server by now.
    """

    def disconnect(context: ExceptionContext) -> None:
        context.is_disconnect |= is_read_only(context.original_exception)

    _replace_pooled(engine, lambda record: _has_unread(record.driver_connection))
    event.listen(engine, "handle_error", disconnect)


def _replace_pooled(engine: Engine, is_stale: Callable[[ConnectionPoolEntry], bool]) -> None:
    """At checkout, replace a connection from the pool that is stale.

    One that the checkout has just made is used even so. The pool would give up at the second that
    is stale, with an error of its own; the first statement fails with Postgres's, if at all.
    """

    def note_new(_: object, record: ConnectionPoolEntry) -> None:
        record.info[IS_NEW] = True

    def note_pooled(_: object, record: ConnectionPoolEntry) -> None:
        record.info[IS_NEW] = False

    def check(_: object, record: ConnectionPoolEntry, __: object) -> None:
        if not record.info[IS_NEW] and is_stale(record):
            raise DisconnectionError  # the pool then makes another

    event.listen(engine, "connect", note_new)
    event.listen(engine, "checkin", note_pooled)
    event.listen(engine, "checkout", check)


def roll_back_leftovers(engine: Engine) -> None:
    """Roll back what is still open on a connection when it returns to the pool.

    SQLAlchemy takes a transaction whose commit raised as ended. If a listener raised or the thread
    was interrupted, no COMMIT was sent. The next user of the connection would commit what was
    written on it before.
    """

    def roll_back(connection: DBAPIConnection, _: object, state: PoolResetState) -> None:
        if state.transaction_was_reset and state.asyncio_safe:
            connection.rollback()  # takes a round trip only if a transaction is open

    event.listen(engine, "reset", roll_back)


def _is_server_read_only(connection: Connection | None) -> bool:
    """Whether all transactions there are read-only, not just this one. Costs no round trip."""
    if connection is None or connection.connection.driver_connection is None:
        return False
    pgconn = connection.connection.driver_connection.pgconn
    return any(pgconn.parameter_status(name) == b"on" for name in READ_ONLY_PARAMETERS)


def _has_unread(connection: Any) -> bool:
    """Whether the server has sent something unasked, such as the end of the connection."""
    poll = select.poll()
    poll.register(connection.pgconn.socket, select.POLLIN)
    return bool(poll.poll(0))
