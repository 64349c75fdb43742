"""Create the library's tables, in the schema duly."""

from alembic import op

from outbox import migrations

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    migrations.upgrade(op.get_bind(), 1)


def downgrade() -> None:
    migrations.downgrade(op.get_bind(), 0)
