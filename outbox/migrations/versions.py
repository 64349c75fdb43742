"""The versions of the library's tables, and which version a database has."""

from importlib.resources import files
from importlib.resources.abc import Traversable

from sqlalchemy import Connection, text

from outbox.migrations import indexes
from outbox.migrations.lock import MigrationError

_FILES = list(files("outbox.migrations").joinpath("sql").iterdir())


def _ending(end: str) -> dict[int, Traversable]:
    return {int(each.name[:4]): each for each in _FILES if each.name.endswith(end)}


_UP, _INDEXES, _DOWN = _ending(".up.sql"), _ending(".indexes.sql"), _ending(".down.sql")
"""Of a version: a file that one transaction runs, or the indexes to build outside of one."""

LATEST = max(_UP | _INDEXES)
"""The version that this release needs. It also runs with later ones: changes are additive."""

_RECORD = """
CREATE TABLE IF NOT EXISTS duly.migrations (
    version INTEGER NOT NULL,
    applied_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (version)
)
"""
# A release before `duly.migrations` existed: infer the version from the newest object present.
_UNVERSIONED = text("""
SELECT CASE
    WHEN to_regclass('duly.jobs') IS NULL THEN 0
    WHEN EXISTS (SELECT FROM pg_attribute
                 WHERE attrelid = to_regclass('duly.jobs') AND attname = 'replays') THEN 7
    WHEN to_regclass('duly.refusals') IS NOT NULL THEN 5
    WHEN EXISTS (SELECT FROM pg_constraint
                 WHERE conname = 'attempts_outcome'
                   AND conrelid = to_regclass('duly.attempts')
                   AND pg_get_constraintdef(oid) LIKE '%uncertain%') THEN 4
    WHEN to_regclass('duly.acts') IS NOT NULL THEN 3
    ELSE 1
END
""")


def installed(connection: Connection) -> int:
    """The version of the library's tables in this database; 0 if it has none."""
    if connection.scalar(text("SELECT to_regclass('duly.migrations')")) is None:
        return int(connection.scalar(_UNVERSIONED) or 0)
    return int(
        connection.scalar(text("SELECT coalesce(max(version), 0) FROM duly.migrations")) or 0
    )


def upgrade(connection: Connection, to: int = LATEST) -> None:
    """Upgrade the tables to this version, in the caller's transaction. Never downgrades.

    Raises MigrationError, before it changes anything, if there are tables already, one of the
    versions builds indexes, and the connection does not commit each statement: in Alembic, call it
    in an `autocommit_block()`. Each version then commits by itself, as in `duly migrate`, so no
    lock is held for long.
    """
    found = installed(connection)
    missing = between(found, to)
    building = [version for version in missing if builds_indexes(version)]
    if building and found and not indexes.commits_each_statement(connection):
        raise MigrationError(
            f"version {building[0]} of Duly's tables builds indexes outside of a transaction: "
            "upgrade to it inside `with op.get_context().autocommit_block():`"
        )
    for version in missing:
        apply(connection, version)


def between(found: int, to: int) -> list[int]:
    """The versions after `found`, up to `to`."""
    return [version for version in sorted(_UP | _INDEXES) if found < version <= to]


def builds_indexes(version: int) -> bool:
    """Whether this version needs a connection that commits each statement."""
    return version in _INDEXES


def apply(connection: Connection, version: int) -> None:
    """Upgrade from the version before to this one.

    In the caller's transaction; in one of its own if the connection commits each statement.
    """
    if builds_indexes(version):
        sql = _INDEXES[version].read_text()
        if indexes.commits_each_statement(connection):
            indexes.build(connection, sql)
        else:  # the tables are new
            connection.exec_driver_sql(sql.replace("INDEX CONCURRENTLY", "INDEX"))
        connection.exec_driver_sql(_applied(version))
    else:
        connection.exec_driver_sql(_sql(_UP[version]) + _applied(version))


def _applied(version: int) -> str:
    """Records the version. What is sent as one is one transaction."""
    return f"""{_RECORD};
INSERT INTO duly.migrations (version) SELECT generate_series(1, {version}) ON CONFLICT DO NOTHING
"""


def _sql(file: Traversable) -> str:
    return file.read_text().replace("%", "%%")  # which the driver reads as a parameter's mark


def downgrade(connection: Connection, to: int) -> None:
    """Downgrade the tables to this version, in the caller's transaction; 0 drops them all."""
    for version in reversed(between(to, installed(connection))):
        forget(connection, version)
        connection.exec_driver_sql(_sql(_DOWN[version]))


def forget(connection: Connection, version: int) -> None:
    """Record that the tables no longer have this version or any later one."""
    connection.exec_driver_sql(_RECORD)
    connection.execute(
        text("DELETE FROM duly.migrations WHERE version >= :version"), {"version": version}
    )
