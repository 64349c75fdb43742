"""Allow attempts to end as `uncertain`."""

from alembic import op

from outbox import migrations

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    migrations.upgrade(op.get_bind(), 4)


def downgrade() -> None:
    migrations.downgrade(op.get_bind(), 3)
