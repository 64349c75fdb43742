"""Add the keys of jobs, unique jobs, paused queues, and messages to other services."""

from alembic import op

from outbox import migrations

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        migrations.upgrade(op.get_bind(), 15)


def downgrade() -> None:
    migrations.downgrade(op.get_bind(), 10)
