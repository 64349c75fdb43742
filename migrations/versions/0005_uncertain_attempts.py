"""An attempt may end `uncertain`."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

OUTCOMES = ("failed", "timed_out", "crashed")


def upgrade() -> None:
    _allow(*OUTCOMES, "uncertain")


def downgrade() -> None:
    op.execute("UPDATE duly.attempts SET outcome = 'failed' WHERE outcome = 'uncertain'")
    _allow(*OUTCOMES)


def _allow(*outcomes: str) -> None:
    # Not valid yet: nobody waits while the table is read, which 0007 does.
    values = ", ".join(f"'{outcome}'" for outcome in outcomes)
    op.execute(
        f"""
ALTER TABLE duly.attempts
    DROP CONSTRAINT attempts_outcome,
    ADD CONSTRAINT attempts_outcome CHECK (outcome IN ({values})) NOT VALID
"""
    )
