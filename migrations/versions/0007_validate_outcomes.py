"""Validate the constraint of 0005 for existing attempts."""

from alembic import op

from outbox import migrations

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    migrations.upgrade(op.get_bind(), 6)


def downgrade() -> None:
    migrations.downgrade(op.get_bind(), 5)
