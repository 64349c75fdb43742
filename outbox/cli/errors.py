"""Exit codes of the commands, and the messages for errors."""

from collections.abc import Callable
from enum import IntEnum
from typing import TypeGuard

from pydantic import ValidationError
from sqlalchemy.exc import ArgumentError, DBAPIError
from typer import TyperException

from outbox.postgres.outages import is_read_only, is_unreachable
from outbox.postgres.replication import is_unreplicated
from outbox.store.sequences import SEQUENCES_BEHIND, is_duplicate

NOT_MIGRATED = ("42P01", "3F000", "42703")
"""SQLSTATEs for a missing table, schema or column."""


class Code(IntEnum):
    """Exit codes; docs/reference.md explains them."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOTHING = 3
    PARTLY = 4
    UNREACHABLE = 69
    """EX_UNAVAILABLE of sysexits.h."""
    TIMEOUT = 124
    """That of timeout(1)."""
    INTERRUPTED = 130


class Stop(Exception):
    """Ends the command. The message goes to stderr, one line per problem."""

    def __init__(self, message: str, code: Code = Code.FAILED) -> None:
        super().__init__(message)
        self.code = code


EXPECTED = (
    Stop,
    TyperException,
    DBAPIError,
    ArgumentError,
    ValidationError,
    UnicodeEncodeError,
)
"""Errors that a command may raise. Any other is a bug, and its traceback is shown."""


def explain(error: Exception) -> Stop:
    """The message and exit code for one of the `EXPECTED` errors."""
    if isinstance(error, Stop):
        return error
    if isinstance(error, TyperException):
        return _usage_error(error)
    if isinstance(error, ValidationError):
        return Stop(field_errors(error, _setting), Code.USAGE)
    if isinstance(error, DBAPIError):
        return _database_error(error)
    if isinstance(error, UnicodeEncodeError):
        return Stop("an argument is not UTF-8", Code.USAGE)
    return Stop("DATABASE_URL is not the address of a database", Code.USAGE)


def is_help(error: Exception) -> TypeGuard[TyperException]:
    """Whether typer raised this to show the help of a group that was called without a command."""
    return type(error).__name__ == "NoArgsIsHelpError"


def field_errors(error: ValidationError, name: Callable[[str], str] = str) -> str:
    """One line for each invalid field, without the values that were given."""
    found = error.errors(include_input=False, include_url=False, include_context=False)
    return "\n".join(f"{name('.'.join(map(str, each['loc'])))}: {each['msg']}" for each in found)


def _usage_error(error: TyperException) -> Stop:
    """What is wrong, in one line, and where help is."""
    line = " ".join(error.format_message().replace(": Value error, ", ": ").split())
    context = getattr(error, "ctx", None)
    where = context.command_path if context else "duly"
    message = line[:1].lower() + line[1:].removesuffix(".")
    return Stop(f"{message}\ntry {where} --help", Code.USAGE)


def _setting(field: str) -> str:
    return f"setting {field if field.isupper() else f'DULY_{field.upper()}'}"


def _database_error(error: DBAPIError) -> Stop:
    line = str(error.orig).strip().partition("\n")[0]
    if is_unreplicated(error):
        return Stop(f"{line}: committed, but lost if Postgres fails over now")
    if is_read_only(error):
        return Stop(f"Postgres is read-only: {line}", Code.UNREACHABLE)
    if is_unreachable(error):
        return Stop(f"Postgres cannot be reached: {line}", Code.UNREACHABLE)
    if error.orig is not None and is_duplicate(error.orig):
        return Stop(f"{SEQUENCES_BEHIND}: {line}")
    if getattr(error.orig, "sqlstate", None) in NOT_MIGRATED:
        return Stop(f"the database is not up to date, run `duly migrate`: {line}")
    return Stop(f"Postgres refused: {line}")
