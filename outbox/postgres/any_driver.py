"""Runs statements that are written for psycopg on the connections of other drivers, too."""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from sqlalchemy import Connection, CursorResult, TextClause, text

CAST = re.compile(r"%\((\w+)\)s::(\w+(?:\[\])?)")
PARAMETER = re.compile(r"%\((\w+)\)s")


def execute(
    connection: Connection, statement: str, parameters: Mapping[str, Any]
) -> CursorResult[Any]:
    """Run a statement with psycopg's named parameters. Raises SQLAlchemy's errors."""
    if connection.dialect.driver.startswith("psycopg"):
        return connection.exec_driver_sql(statement, dict(parameters))
    return connection.execute(for_any_driver(statement), parameters)


@cache
def for_any_driver(statement: str) -> TextClause:
    """The same statement with SQLAlchemy's parameters."""
    return text(PARAMETER.sub(r":\1", CAST.sub(r"CAST(:\1 AS \2)", statement)))
