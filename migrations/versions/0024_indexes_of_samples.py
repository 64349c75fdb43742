"""Add indexes for what relays sample of queued jobs and open batches."""

from alembic import op

from outbox import migrations

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        migrations.upgrade(op.get_bind(), 21)


def downgrade() -> None:
    migrations.downgrade(op.get_bind(), 20)
