"""Find invoices by when they were made, and create the table of reports."""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Invoices are made meanwhile. A build that was killed leaves an index that is not valid.
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS public.invoices_created_at_ix")
        op.execute(
            "CREATE INDEX CONCURRENTLY invoices_created_at_ix ON public.invoices (created_at)"
        )
    op.execute(
        """
CREATE TABLE public.reports (
    id UUID NOT NULL,
    first_day DATE NOT NULL,
    last_day DATE NOT NULL,
    zone TEXT NOT NULL,
    formats TEXT[] NOT NULL,
    requested_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    built_at TIMESTAMP WITH TIME ZONE,
    expires_at TIMESTAMP WITH TIME ZONE,
    totals JSONB,
    files JSONB,
    CONSTRAINT reports_pkey PRIMARY KEY (id)
)
"""
    )


def downgrade() -> None:
    op.execute("DROP TABLE public.reports; DROP INDEX public.invoices_created_at_ix")
