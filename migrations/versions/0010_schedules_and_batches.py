"""Add schedules, batches and what is known of running jobs; index jobs by what they belong to."""

from alembic import op

from outbox import migrations

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        migrations.upgrade(op.get_bind(), 10)


def downgrade() -> None:
    migrations.downgrade(op.get_bind(), 8)
