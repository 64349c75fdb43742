"""The versions of the library's tables, and which one a database has."""

from importlib.resources import files

from sqlalchemy import Connection, text

_FILES = sorted(
    (each for each in files("outbox.migrations").joinpath("sql").iterdir()),
    key=lambda file: file.name,
)
_UP = {int(each.name[:4]): each for each in _FILES if each.name.endswith(".up.sql")}
_DOWN = {int(each.name[:4]): each for each in _FILES if each.name.endswith(".down.sql")}

LATEST = max(_UP)
"""The version that this release needs. A later one is well: changes are additive."""

_RECORD = """
CREATE TABLE IF NOT EXISTS duly.migrations (
    version INTEGER NOT NULL,
    applied_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (version)
)
"""
_NEWEST = text("SELECT max(version) FROM duly.migrations")
# Releases before the library had versions of its own: the newest thing that is there tells.
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
    """The version of the library's tables in this database; 0 where there are none."""
    if connection.scalar(text("SELECT to_regclass('duly.migrations')")) is None:
        return int(connection.scalar(_UNVERSIONED) or 0)
    return int(
        connection.scalar(text("SELECT coalesce(max(version), 0) FROM duly.migrations")) or 0
    )


def upgrade(connection: Connection, to: int = LATEST) -> None:
    """Bring the tables to this version, in the caller's transaction. Does nothing beyond it.

    `duly migrate` commits each version by itself, which keeps no lock for long.
    """
    for version in range(installed(connection) + 1, to + 1):
        apply(connection, version)


def apply(connection: Connection, version: int) -> None:
    """Make one version from the one before, in the caller's transaction."""
    connection.exec_driver_sql(_UP[version].read_text())
    connection.exec_driver_sql(_RECORD)
    connection.execute(
        text(
            "INSERT INTO duly.migrations (version) SELECT generate_series(1, :version)"
            " ON CONFLICT DO NOTHING"
        ),
        {"version": version},
    )


def downgrade(connection: Connection, to: int) -> None:
    """Take the tables back to this version, in the caller's transaction; 0 leaves none."""
    for version in range(installed(connection), to, -1):
        forget(connection, version)
        connection.exec_driver_sql(_DOWN[version].read_text())


def forget(connection: Connection, version: int) -> None:
    """Note that the tables no longer have this version."""
    connection.exec_driver_sql(_RECORD)
    connection.execute(
        text("DELETE FROM duly.migrations WHERE version >= :version"), {"version": version}
    )
