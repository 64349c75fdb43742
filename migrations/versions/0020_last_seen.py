"""Add when an API key was last used."""

from alembic import op

from outbox import migrations

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        migrations.upgrade(op.get_bind(), 17)


def downgrade() -> None:
    migrations.downgrade(op.get_bind(), 16)
