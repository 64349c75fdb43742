"""Keep how far a running job is, and the place where its next attempt goes on."""

from alembic import op

from outbox import migrations

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    migrations.upgrade(op.get_bind(), 9)


def downgrade() -> None:
    migrations.downgrade(op.get_bind(), 8)
