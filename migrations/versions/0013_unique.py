"""Add the keys of unique kinds."""

from alembic import op

from outbox import migrations

revision = "0013"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    migrations.upgrade(op.get_bind(), 13)


def downgrade() -> None:
    migrations.downgrade(op.get_bind(), 10)
