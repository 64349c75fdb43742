"""No CHECK constraints on jobs: see docs/decisions/0018."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE duly.jobs DROP CONSTRAINT jobs_state, DROP CONSTRAINT jobs_priority")


def downgrade() -> None:
    # Not valid: the table is not read while nobody else may write to it.
    op.execute(
        """
ALTER TABLE duly.jobs
    ADD CONSTRAINT jobs_state
        CHECK (state IN ('queued', 'running', 'succeeded', 'dead', 'cancelled')) NOT VALID,
    ADD CONSTRAINT jobs_priority CHECK (priority IN (0, 1, 2)) NOT VALID
"""
    )
