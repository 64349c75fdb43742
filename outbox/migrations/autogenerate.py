"""Keeps Alembic's autogenerate in an app from proposing changes to the library's tables."""

from sqlalchemy import Table
from sqlalchemy.schema import SchemaItem

from outbox.store.schema import SCHEMA, metadata


def include_object(
    item: SchemaItem,
    _name: str | None,
    _kind: str,
    reflected: bool,  # noqa: FBT001 - Alembic's order
    declared: SchemaItem | None,
) -> bool:
    """Whether autogenerate may look at this: False for tables of the library in the database.

    For Alembic's `context.configure(include_object=...)`, with `include_schemas` or without.
    """
    if not isinstance(item, Table) or not reflected or declared is not None:
        return True
    return not _is_ours(item)


def _is_ours(table: Table) -> bool:
    """Whether it is the library's.

    Its schema is unnamed if Postgres searches it: for a role called `duly` it does so by itself.
    """
    if table.schema is not None:
        return table.schema == SCHEMA
    ours = metadata.tables.get(f"{SCHEMA}.{table.name}")
    return ours is not None and {*table.columns.keys()} <= {*ours.columns.keys()}
