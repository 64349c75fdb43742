"""Add the trace contexts of jobs and of their attempts."""

from alembic import op

from outbox import migrations

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        migrations.upgrade(op.get_bind(), 22)


def downgrade() -> None:
    migrations.downgrade(op.get_bind(), 21)
