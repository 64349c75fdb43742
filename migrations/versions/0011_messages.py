"""Add messages to and of other services."""

from alembic import op

from outbox import migrations

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    migrations.upgrade(op.get_bind(), 11)


def downgrade() -> None:
    migrations.downgrade(op.get_bind(), 10)
