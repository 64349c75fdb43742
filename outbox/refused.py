"""What Postgres has against a record: its data, the tables that take it, or neither."""

import psycopg


def is_about_one(error: psycopg.Error) -> bool:
    """Whether one record or step is refused, and others may well be taken.

    For its data, by a constraint (23), by a trigger (P0), or for want of a privilege (42501).
    """
    state = error.sqlstate or ""
    return is_about_data(error) or state.startswith(("23", "P0", "42501"))


def is_about_data(error: psycopg.Error) -> bool:
    """Whether a record has data that Postgres can keep nowhere: odd (22) or too large (54).

    Or before any of it is sent, by psycopg or `Statement.values`.
    """
    if error.sqlstate is None:
        return not isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
    return error.sqlstate.startswith(("22", "54"))


def first_line(error: BaseException) -> str:
    """The error's text without details, which may quote a row."""
    return str(error).strip().partition("\n")[0]
