"""Count how often each job was replayed."""

from alembic import op

from outbox import migrations

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    migrations.upgrade(op.get_bind(), 7)


def downgrade() -> None:
    migrations.downgrade(op.get_bind(), 6)
