"""How the engine reaches Postgres."""

import psycopg
from sqlalchemy import make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from outbox.causes import causes


def sqlalchemy_url(database_url: str) -> URL:
    """The libpq address as SQLAlchemy wants it, for psycopg; sync and async engines alike."""
    return make_url(database_url).set(drivername="postgresql+psycopg")


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
