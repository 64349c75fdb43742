"""Build the indexes of what people and scrapes look for."""

from alembic import op

from outbox import migrations

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        migrations.upgrade(op.get_bind(), 20)


def downgrade() -> None:
    migrations.downgrade(op.get_bind(), 19)
