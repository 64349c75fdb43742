"""Find what a mail has suppressed, so that old mails can be deleted."""

from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Mails bounce meanwhile. A build that was killed leaves an index that is not valid.
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS public.suppressions_email_id_ix")
        op.execute(
            "CREATE INDEX CONCURRENTLY suppressions_email_id_ix ON public.suppressions (email_id)"
        )


def downgrade() -> None:
    op.execute("DROP INDEX public.suppressions_email_id_ix")
