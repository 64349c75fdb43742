"""How the engine reaches Postgres."""

import psycopg
from sqlalchemy import Engine, event, make_url
from sqlalchemy.engine import URL, ExceptionContext
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from outbox.causes import causes


def sqlalchemy_url(database_url: str) -> URL:
    """The libpq address as SQLAlchemy wants it, for psycopg; sync and async engines alike."""
    return make_url(database_url).set(drivername="postgresql+psycopg")


OURS = "from Duly's own engine"


def note_errors(engine: Engine) -> None:
    """Make errors of this engine's connections known as such, for `is_own_outage`."""

    def note(context: ExceptionContext) -> None:
        context.original_exception.add_note(OURS)

    event.listen(engine, "handle_error", note)


def is_own_outage(error: BaseException) -> bool:
    """Whether an actor failed because Duly's Postgres is away, and not some other server of its."""
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
