"""Record jobs that a worker refused as unknown. They wait for a worker that knows them."""

from alembic import op

from outbox import migrations

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    migrations.upgrade(op.get_bind(), 5)


def downgrade() -> None:
    migrations.downgrade(op.get_bind(), 4)
