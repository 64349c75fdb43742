"""Errors about what was prepared in a session: a new session can run the statement."""

import psycopg

UNPREPARED = ("26000", "42P05")
"""SQLSTATEs of a statement that is no longer prepared, or that somebody else has prepared."""


def is_stale(error: BaseException) -> bool:
    """Whether Postgres refused a statement because of what was prepared, and did none of it.

    This happens after ALTER TABLE ("cached plan must not change result type", in the server's
    language), after DISCARD ALL, and behind a pooler that switches sessions.
    """
    return isinstance(error, psycopg.Error) and (
        error.sqlstate in UNPREPARED or error.diag.source_function == "RevalidateCachedQuery"
    )
