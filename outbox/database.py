"""How the engine reaches Postgres."""

import time
from collections.abc import Callable

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy import Engine, event, make_url
from sqlalchemy.engine import URL, ExceptionContext
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry

from outbox.causes import causes

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


BY_INDEX = " ".join(
    f"-c {setting}"
    for setting in (
        "plan_cache_mode=force_generic_plan",
        "enable_seqscan=off",
        "enable_nestloop=off",
        "enable_mergejoin=off",
        "jit=off",
    )
)
"""Settings of a session that takes steps, each of which finds its rows by an index.

Postgres would plan a step of arrays anew each time it is taken, which costs as much as taking it.
A plan that is kept must not be one for a table that happened to be small: it would read all of it,
or compare each row with each other, when it has grown.
"""


def conninfo(database_url: str) -> str:
    """The address for psycopg; what it says itself goes before what we would have it say."""
    return make_conninfo("", **(NOTICE_SILENCE | conninfo_to_dict(database_url)))


def conninfo_of_steps(database_url: str) -> str:
    """The same for a session that does nothing but take steps."""
    given = conninfo_to_dict(database_url).get("options") or ""
    return make_conninfo(conninfo(database_url), options=f"{BY_INDEX} {given}".strip())


def sqlalchemy_url(database_url: str) -> URL:
    """The same as SQLAlchemy wants it, for psycopg; sync and async engines alike."""
    url = make_url(database_url).set(drivername="postgresql+psycopg")
    return url.set(query=NOTICE_SILENCE | dict(url.query))


OURS = "from Duly's own engine"
MADE_AT = "duly.made_at"


def note_errors(engine: Engine) -> None:
    """Make errors of this engine's connections known as such, for `is_own_outage`."""

    def note(context: ExceptionContext) -> None:
        context.original_exception.add_note(OURS)

    event.listen(engine, "handle_error", note)


def renew_older(engine: Engine, than: Callable[[], float]) -> None:
    """Have no pooled connection taken that was made before that moment of the monotonic clock."""

    def note(_: object, record: ConnectionPoolEntry) -> None:
        record.info[MADE_AT] = time.monotonic()

    def look(_: object, record: ConnectionPoolEntry, __: object) -> None:
        if record.info[MADE_AT] <= than():
            raise DisconnectionError  # upon which the pool makes another

    event.listen(engine, "connect", note)
    event.listen(engine, "checkout", look)


def is_own_outage(error: BaseException) -> bool:
    """Whether an actor failed for want of Duly's Postgres, and not of some other server of its."""
    return any(
        OURS in getattr(each, "__notes__", ()) and _is_lost_connection(each)
        for each in causes(error)
    )


def is_unreachable(error: BaseException | None) -> bool:
    """Whether the error says that Postgres is away or full, not that it refused.

    Looked for along the chain of causes, as applications wrap errors in their own.
    """
    return any(_is_lost_connection(each) for each in causes(error))


def _is_lost_connection(error: BaseException) -> bool:
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or _is_lost_connection(error.orig or ValueError())
    if isinstance(error, PoolTimeout):
        return True
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        state = error.sqlstate or "08000"
        return state.startswith(("08", "57P", "53"))
    return False
