"""Have workers say which release they run."""

from alembic import op

from outbox import migrations

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    migrations.upgrade(op.get_bind(), 23)


def downgrade() -> None:
    migrations.downgrade(op.get_bind(), 22)
