"""Migrates the library's own tables, version by version, in SQL files.

`duly migrate` brings them up to date. An app with Alembic may do so in a revision of its own:

    def upgrade() -> None:
        outbox.migrations.upgrade(op.get_bind(), 13)

The table `duly.migrations` records their version. A version is `sql/NNNN_name.up.sql`, which runs
in one transaction, or `sql/NNNN_name.indexes.sql`, which has only CREATE INDEX CONCURRENTLY and
runs outside of one; and `sql/NNNN_name.down.sql`.

Reading order: versions, indexes, run, lock, grants; autogenerate.
"""

from outbox.migrations.autogenerate import include_object
from outbox.migrations.lock import MigrationError
from outbox.migrations.versions import LATEST, downgrade, forget, installed, upgrade

__all__ = [
    "LATEST",
    "MigrationError",
    "downgrade",
    "forget",
    "include_object",
    "installed",
    "upgrade",
]
