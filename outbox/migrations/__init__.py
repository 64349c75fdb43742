"""Migrates the library's own tables, version by version, in SQL files.

`duly migrate` brings them up to date. An app with Alembic may do so in a revision of its own:

    def upgrade() -> None:
        outbox.migrations.upgrade(op.get_bind(), 8)

The table `duly.migrations` records their version. Reading order: versions, run, turn, grants.
"""

from outbox.migrations.versions import LATEST, downgrade, forget, installed, upgrade

__all__ = ["LATEST", "downgrade", "forget", "installed", "upgrade"]
