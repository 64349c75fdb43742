"""Drop the CHECK constraints on jobs, see docs/decisions/0018."""

from alembic import op

from outbox import migrations

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    migrations.upgrade(op.get_bind(), 2)


def downgrade() -> None:
    migrations.downgrade(op.get_bind(), 1)
