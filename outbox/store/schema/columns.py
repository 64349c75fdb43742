"""What all tables share: their schema, and columns and constraints that come again."""

from sqlalchemy import (
    Column,
    DateTime,
    MetaData,
    func,
)

SCHEMA = "duly"

NUMBERED = "numbered"
"""In `info` of a column with a sequence: the rows whose numbers count, which an index has in order.

Without it, all do: the column is the primary key.
"""

metadata = MetaData(schema=SCHEMA)


def timestamp(name: str, *, now: bool = False) -> "Column[object]":
    return Column(
        name,
        DateTime(timezone=True),
        nullable=not now,
        server_default=func.now() if now else None,
    )


def among(column: str, values: tuple[object, ...]) -> str:
    return f"{column} IN ({', '.join(repr(value) for value in values)})"
