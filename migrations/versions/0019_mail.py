"""Create the tables of mail: what became of each, and who gets no more."""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
CREATE TABLE public.emails (
    id UUID NOT NULL,
    recipient TEXT NOT NULL,
    category TEXT,
    state TEXT NOT NULL,
    reply TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    changed_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT emails_pkey PRIMARY KEY (id)
);
CREATE INDEX emails_state_ix ON public.emails (state, id);
CREATE INDEX emails_bounced_ix ON public.emails (recipient) WHERE state = 'bounced';
CREATE TABLE public.suppressions (
    id UUID NOT NULL,
    address TEXT NOT NULL,
    category TEXT NOT NULL,
    reason TEXT NOT NULL,
    email_id UUID,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT suppressions_pkey PRIMARY KEY (id),
    CONSTRAINT suppressions_address_key UNIQUE (address, category),
    CONSTRAINT suppressions_email_id_fkey FOREIGN KEY (email_id)
        REFERENCES public.emails (id) ON DELETE SET NULL
);
"""
    )


def downgrade() -> None:
    op.execute("DROP TABLE public.suppressions, public.emails")
