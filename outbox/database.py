"""How the engine reaches Postgres."""

import select
import time
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy import Connection, Engine, PoolResetState, event
from sqlalchemy.engine import URL, ExceptionContext
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry

from outbox.causes import causes
from outbox.stale import is_stale

NOTICE_SILENCE = {
    "connect_timeout": "10",
    "tcp_user_timeout": "20000",
    "keepalives_idle": "5",
    "keepalives_interval": "5",
    "keepalives_count": "3",
}
"""Settings of libpq: a server that vanished without a word is given up within some 20 seconds.

Without them a half-open connection holds its process for up to two hours, as Linux has it.
"""


ENCODING = {"client_encoding": "utf8"}


def conninfo(database_url: str) -> str:
    """The address for psycopg: what libpq reads, be it a URL, `key=value` pairs or a service.

    What it says itself goes before what we would have it say; but texts are UTF-8, as payloads
    need. Raises psycopg.ProgrammingError, whose text quotes the address, password and all.
    """
    return make_conninfo("", **(NOTICE_SILENCE | conninfo_to_dict(database_url) | ENCODING))


def sqlalchemy_url(database_url: str) -> URL:
    """The same as SQLAlchemy wants it, for psycopg; sync and async engines alike."""
    given = {name: str(value) for name, value in conninfo_to_dict(conninfo(database_url)).items()}
    url = URL.create(
        "postgresql+psycopg",
        username=given.pop("user", None),
        password=given.pop("password", None),
        database=given.pop("dbname", None),
    )
    host, port = given.get("host", ""), given.get("port", "5432")
    if host and not {*host} & {",", "/", "@"} and port.isdigit():
        url = url.set(host=host, port=int(port))
        given = {name: value for name, value in given.items() if name not in ("host", "port")}
    return url.set(query=given)  # among it several hosts, or a socket's folder


OURS = "from Duly's own engine"
DEMOTED = "its server takes no writes"
READ_ONLY_SERVER = (b"in_hot_standby", b"default_transaction_read_only")
"""What Postgres tells each client of itself, from version 14 on."""
MADE_AT = "duly.made_at"

READ_ONLY = "25006"
NO_ANSWER = ("08", "57P", "25P03", "25P04")
"""SQLSTATEs of a session that has ended: what its last statement did is not known."""
AWAY = (*NO_ANSWER, "53", READ_ONLY)
"""SQLSTATEs of a Postgres that is away, full, or read-only as a standby is: this passes."""
IN_THE_WAY = ("40001", "40P01")
"""SQLSTATEs of transactions that got in each other's way: the same again may well succeed."""


def note_errors(engine: Engine) -> None:
    """Make errors of this engine's connections known as such, for `is_own_outage`."""

    def note(context: ExceptionContext) -> None:
        context.original_exception.add_note(OURS)
        if is_read_only(context.original_exception) and _is_server_read_only(context.connection):
            context.original_exception.add_note(DEMOTED)

    event.listen(engine, "handle_error", note)


def _is_server_read_only(connection: Connection | None) -> bool:
    """Whether each transaction is, and not just one that asked for it. Costs no round trip."""
    if connection is None or connection.connection.driver_connection is None:
        return False
    pgconn = connection.connection.driver_connection.pgconn
    return any(pgconn.parameter_status(name) == b"on" for name in READ_ONLY_SERVER)


def renew_older(engine: Engine, than: Callable[[], float]) -> None:
    """Have no pooled connection taken that was made before that moment of the monotonic clock."""

    def note(_: object, record: ConnectionPoolEntry) -> None:
        record.info[MADE_AT] = time.monotonic()

    def look(_: object, record: ConnectionPoolEntry, __: object) -> None:
        if record.info[MADE_AT] <= than():
            raise DisconnectionError  # upon which the pool makes another

    event.listen(engine, "connect", note)
    event.listen(engine, "checkout", look)


def replace_useless(engine: Engine) -> None:
    """Have no pooled connection taken that the server has ended, and none stay that is read-only.

    Costs no round trip: an idle server has nothing to say but that it ends the connection. Once a
    write is refused because Postgres is read-only, all connections made until then are replaced, as
    the address may lead to another server by now.
    """

    def look(_: object, record: ConnectionPoolEntry, __: object) -> None:
        if _has_unread(record.driver_connection):
            raise DisconnectionError

    def note(context: ExceptionContext) -> None:
        context.is_disconnect |= is_read_only(context.original_exception)

    event.listen(engine, "checkout", look)
    event.listen(engine, "handle_error", note)


def roll_back_leftovers(engine: Engine) -> None:
    """Have no connection go back to the pool inside of a transaction.

    SQLAlchemy takes a transaction for ended once its commit has raised. Where a listener raised, or
    the thread was interrupted, no COMMIT was sent: whoever takes the connection next would commit
    what was written on it before.
    """

    def roll_back(connection: DBAPIConnection, _: object, state: PoolResetState) -> None:
        if state.transaction_was_reset and state.asyncio_safe:
            connection.rollback()  # a round trip only if there is something left

    event.listen(engine, "reset", roll_back)


def _has_unread(connection: Any) -> bool:
    """Whether something has come in that nobody has asked for, the connection's end perhaps."""
    poll = select.poll()
    poll.register(connection.pgconn.socket, select.POLLIN)
    return bool(poll.poll(0))


def is_own_outage(error: BaseException) -> bool:
    """Whether an actor failed for want of Duly's Postgres, and not of some other server of its."""
    return any(_is_ours(each) and _state(each).startswith(AWAY) for each in causes(error))


def is_own_demotion(error: BaseException) -> bool:
    """Whether an actor failed as Duly's pool led to a server that takes no writes."""
    return any(DEMOTED in getattr(each, "__notes__", ()) for each in causes(error))


def is_own_collision(error: BaseException) -> bool:
    """Whether an actor failed as its transaction and another one got in each other's way.

    ALTER TABLE is such another, where a statement was prepared before it.
    """
    return any(
        _is_ours(each) and (_state(each) in IN_THE_WAY or is_stale(each)) for each in causes(error)
    )


def _is_ours(error: BaseException) -> bool:
    return OURS in getattr(error, "__notes__", ())


def is_unreachable(error: BaseException | None) -> bool:
    """Whether the error says that Postgres is away, full or read-only, not that it refused.

    Or that only this session refused, for what was prepared in it.

    Looked for along the chain of causes, as applications wrap errors in their own.
    """
    return any(
        isinstance(each, PoolTimeout) or _state(each).startswith(AWAY) or is_stale(each)
        for each in causes(error)
    )


def may_have_committed(error: DBAPIError) -> bool:
    """Whether a COMMIT that raised this may have taken effect."""
    return _state(error).startswith(NO_ANSWER)


def is_read_only(error: BaseException | None) -> bool:
    """Whether a write was refused because the transaction, or all of Postgres, is read-only."""
    return any(_state(each) == READ_ONLY for each in causes(error))


def _state(error: BaseException) -> str:
    """Its SQLSTATE, or that of a lost connection where that is what it says; empty for others."""
    driver = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(driver, psycopg.Error) and driver.sqlstate:
        return driver.sqlstate
    is_lost = isinstance(driver, psycopg.OperationalError | psycopg.InterfaceError)
    return "08000" if is_lost or getattr(error, "connection_invalidated", False) else ""
