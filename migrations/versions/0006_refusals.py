"""Jobs that a worker did not know how to do, and that wait for one that does."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
CREATE TABLE duly.refusals (
    job_id UUID NOT NULL,
    dispatch INTEGER NOT NULL,
    since TIMESTAMP WITH TIME ZONE NOT NULL,
    why TEXT NOT NULL,
    PRIMARY KEY (job_id)
)
"""
    )


def downgrade() -> None:
    op.execute("DROP TABLE duly.refusals")
