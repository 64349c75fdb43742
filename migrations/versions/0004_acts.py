"""Add the record of acts: who did what to what, and why. It is append-only."""

from alembic import op

from outbox import migrations

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    migrations.upgrade(op.get_bind(), 3)


def downgrade() -> None:
    migrations.downgrade(op.get_bind(), 2)
