"""How often a job was replayed."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A constant default changes no row: the lock is held for a moment.
    op.execute("ALTER TABLE duly.jobs ADD COLUMN replays SMALLINT DEFAULT 0 NOT NULL")


def downgrade() -> None:
    op.execute("ALTER TABLE duly.jobs DROP COLUMN replays")
