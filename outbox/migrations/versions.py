"""The versions of the library's tables, and which version a database has."""

from importlib.resources import files
from importlib.resources.abc import Traversable

from sqlalchemy import Connection, text

_FILES = list(files("outbox.migrations").joinpath("sql").iterdir())
_UP = {int(each.name[:4]): each for each in _FILES if each.name.endswith(".up.sql")}
_DOWN = {int(each.name[:4]): each for each in _FILES if each.name.endswith(".down.sql")}

LATEST = max(_UP)
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

    `duly migrate` commits each version by itself instead, so it holds no lock for long.
    """
    for version in range(installed(connection) + 1, to + 1):
        apply(connection, version)


def apply(connection: Connection, version: int) -> None:
    """Upgrade from the version before to this one, in the caller's transaction."""
    connection.exec_driver_sql(_sql(_UP[version]))
    connection.exec_driver_sql(_RECORD)
    connection.execute(
        text(
            "INSERT INTO duly.migrations (version) SELECT generate_series(1, :version)"
            " ON CONFLICT DO NOTHING"
        ),
        {"version": version},
    )


def _sql(file: Traversable) -> str:
    return file.read_text().replace("%", "%%")  # which the driver reads as a parameter's mark


def downgrade(connection: Connection, to: int) -> None:
    """Downgrade the tables to this version, in the caller's transaction; 0 drops them all."""
    for version in range(installed(connection), to, -1):
        forget(connection, version)
        connection.exec_driver_sql(_sql(_DOWN[version]))


def forget(connection: Connection, version: int) -> None:
    """Record that the tables no longer have this version or any later one."""
    connection.exec_driver_sql(_RECORD)
    connection.execute(
        text("DELETE FROM duly.migrations WHERE version >= :version"), {"version": version}
    )
