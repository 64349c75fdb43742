"""What a session had prepared and can no longer use: a new session can."""

import psycopg

UNPREPARED = ("26000", "42P05")
"""SQLSTATEs of a statement that is not prepared any more, or was prepared by somebody else."""


def is_stale(error: BaseException) -> bool:
    """Whether Postgres refused a statement for what was prepared, and did none of it.

    As after ALTER TABLE ("cached plan must not change result type", in the server's language),
    DISCARD ALL, or a pooler that changes sessions.
    """
    return isinstance(error, psycopg.Error) and (
        error.sqlstate in UNPREPARED or error.diag.source_function == "RevalidateCachedQuery"
    )
