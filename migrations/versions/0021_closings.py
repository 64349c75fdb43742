"""Create the tables of month ends, and let invoices wait for one."""

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
ALTER TABLE public.invoices ADD COLUMN at_month_end BOOLEAN DEFAULT false NOT NULL;
CREATE INDEX invoices_at_month_end_ix ON public.invoices (created_at) WHERE at_month_end;
CREATE TABLE public.closings (
    id UUID NOT NULL,
    month TEXT NOT NULL,
    batch_id UUID,
    report_id UUID,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    completed_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT closings_pkey PRIMARY KEY (id),
    CONSTRAINT closings_month_key UNIQUE (month)
);
CREATE TABLE public.closing_invoices (
    invoice_id UUID NOT NULL,
    closing_id UUID NOT NULL,
    stage TEXT NOT NULL,
    not_charged TEXT,
    CONSTRAINT closing_invoices_pkey PRIMARY KEY (invoice_id),
    CONSTRAINT closing_invoices_invoice_id_fkey
        FOREIGN KEY (invoice_id) REFERENCES public.invoices (id),
    CONSTRAINT closing_invoices_closing_id_fkey
        FOREIGN KEY (closing_id) REFERENCES public.closings (id)
);
CREATE INDEX closing_invoices_closing_id_ix ON public.closing_invoices (closing_id);
"""
    )


def downgrade() -> None:
    op.execute(
        """
DROP TABLE public.closing_invoices, public.closings;
ALTER TABLE public.invoices DROP COLUMN at_month_end;
"""
    )
