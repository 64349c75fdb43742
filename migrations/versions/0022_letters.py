"""Add when somebody first looked at a dead letter, and the indexes that its retention needs."""

from alembic import op

from outbox import migrations

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        migrations.upgrade(op.get_bind(), 19)


def downgrade() -> None:
    migrations.downgrade(op.get_bind(), 17)
