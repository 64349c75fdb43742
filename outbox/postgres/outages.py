"""Which errors say that Postgres is unavailable, and which that it refused a statement."""

import psycopg
from sqlalchemy.exc import DBAPIError

from outbox.postgres.causes import causes
from outbox.postgres.stale_plans import is_stale

READ_ONLY = "25006"
"""SQLSTATE of a write in a read-only transaction."""

SESSION_ENDED = ("08", "57P", "25P03", "25P04")
"""SQLSTATEs of a session that has ended: what its last statement did is unknown."""

UNAVAILABLE = (*SESSION_ENDED, "53", READ_ONLY)
"""SQLSTATEs of a Postgres that is away, full, or read-only like a standby. This passes."""

CONFLICTS = ("40001", "40P01")
"""SQLSTATEs of transactions that conflicted with others: a retry may well succeed."""

OWN_ENGINE = "from Duly's own engine"
"""Note on errors of Duly's own engine; see `pools.note_errors`."""

SERVER_READ_ONLY = "its server takes no writes"
"""Note on errors of a server that is read-only as a whole."""


def is_own_outage(error: BaseException) -> bool:
    """Whether an actor failed because Duly's Postgres, and not some other server, was away."""
    return any(_is_own(each) and _state(each).startswith(UNAVAILABLE) for each in causes(error))


def is_own_demotion(error: BaseException) -> bool:
    """Whether an actor failed because Duly's pool led to a server that takes no writes."""
    return any(SERVER_READ_ONLY in getattr(each, "__notes__", ()) for each in causes(error))


def is_own_conflict(error: BaseException) -> bool:
    """Whether an actor failed because its transaction conflicted with another one.

    That includes ALTER TABLE, after which a statement prepared earlier fails.
    """
    return any(
        _is_own(each) and (_state(each) in CONFLICTS or is_stale(each)) for each in causes(error)
    )


def is_unreachable(error: BaseException | None) -> bool:
    """Whether Postgres is away, full or read-only, rather than refusing the statement.

    Includes a refusal by this session only, because of what was prepared in it. To wait in vain
    for a connection of one's own pool says nothing of Postgres. Searches the chain of causes, as
    applications wrap errors in their own.
    """
    return any(_state(each).startswith(UNAVAILABLE) or is_stale(each) for each in causes(error))


def may_have_committed(error: DBAPIError) -> bool:
    """Whether a COMMIT that raised this may have taken effect."""
    return _state(error).startswith(SESSION_ENDED)


def is_read_only(error: BaseException | None) -> bool:
    """Whether a write was refused because the transaction, or all of Postgres, is read-only."""
    return any(_state(each) == READ_ONLY for each in causes(error))


def _is_own(error: BaseException) -> bool:
    return OWN_ENGINE in getattr(error, "__notes__", ())


def _state(error: BaseException) -> str:
    """The error's SQLSTATE; 08000 for a lost connection without one; empty for other errors."""
    driver = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(driver, psycopg.Error) and driver.sqlstate:
        return driver.sqlstate
    is_lost = isinstance(driver, psycopg.OperationalError | psycopg.InterfaceError)
    return "08000" if is_lost or getattr(error, "connection_invalidated", False) else ""
