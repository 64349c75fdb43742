"""Why Postgres refused a record: because of its data, of the tables, or of neither."""

import psycopg


def is_about_one(error: psycopg.Error) -> bool:
    """Whether Postgres refused just this record or transition, and may well take others.

    It did so for its data, by a constraint (23) or a trigger (P0), or for a missing privilege
    (42501).
    """
    state = error.sqlstate or ""
    return is_about_data(error) or state.startswith(("23", "P0", "42501"))


def is_about_data(error: psycopg.Error) -> bool:
    """Whether Postgres cannot store the record's data at all: it is invalid (22) or too large (54).

    Or psycopg or `Statement.values` refused it before any of it was sent.
    """
    if error.sqlstate is None:
        return not isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
    return error.sqlstate.startswith(("22", "54"))


def first_line(error: BaseException) -> str:
    """The error's text without its details, which may quote a row."""
    return str(error).strip().partition("\n")[0]
