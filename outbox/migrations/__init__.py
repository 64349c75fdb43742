"""The library's own tables, version by version.

`duly migrate` brings them up to date. An app with Alembic may do so in a revision of its own:

    def upgrade() -> None:
        outbox.migrations.upgrade(op.get_bind(), 8)

Their version has a table of its own, `duly.migrations`. Reading order: versions, run, turn, grants.
"""

from outbox.migrations.versions import LATEST, downgrade, forget, installed, upgrade

__all__ = ["LATEST", "downgrade", "forget", "installed", "upgrade"]
