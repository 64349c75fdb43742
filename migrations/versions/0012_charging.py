"""Create the tables of payments and refunds, and give invoices a payment method."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
CREATE TABLE public.payments (
    id UUID NOT NULL,
    invoice_id UUID NOT NULL,
    amount BIGINT NOT NULL,
    currency TEXT NOT NULL,
    payment_method TEXT NOT NULL,
    state TEXT NOT NULL,
    why TEXT,
    intent_id TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    settled_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT payments_pkey PRIMARY KEY (id),
    CONSTRAINT payments_intent_id_key UNIQUE (intent_id),
    CONSTRAINT payments_invoice_id_fkey FOREIGN KEY (invoice_id) REFERENCES public.invoices (id),
    CONSTRAINT payments_amount_check CHECK (amount > 0),
    CONSTRAINT payments_state_check
        CHECK (state IN ('open', 'succeeded', 'declined', 'cancelled'))
);
CREATE INDEX payments_invoice_id_ix ON public.payments (invoice_id);
CREATE INDEX payments_state_id_ix ON public.payments (state, id);
CREATE UNIQUE INDEX payments_one_charge_ix ON public.payments (invoice_id)
    WHERE state IN ('open', 'succeeded');
CREATE TABLE public.refunds (
    id UUID NOT NULL,
    payment_id UUID NOT NULL,
    amount BIGINT NOT NULL,
    state TEXT NOT NULL,
    why TEXT,
    provider_id TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    settled_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT refunds_pkey PRIMARY KEY (id),
    CONSTRAINT refunds_provider_id_key UNIQUE (provider_id),
    CONSTRAINT refunds_payment_id_fkey FOREIGN KEY (payment_id) REFERENCES public.payments (id),
    CONSTRAINT refunds_amount_check CHECK (amount > 0),
    CONSTRAINT refunds_state_check CHECK (state IN ('open', 'succeeded', 'failed'))
);
CREATE INDEX refunds_payment_id_ix ON public.refunds (payment_id);
ALTER TABLE public.invoices ADD COLUMN payment_method TEXT;
"""
    )


def downgrade() -> None:
    op.execute(
        """
ALTER TABLE public.invoices DROP COLUMN payment_method;
DROP TABLE public.refunds, public.payments
"""
    )
