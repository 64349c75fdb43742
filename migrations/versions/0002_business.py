"""Create the service's own tables.

They included API keys and idempotency keys until these moved to the library, see 0009.
"""

from alembic import op
from sqlalchemy import text

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


KEYS = """
CREATE TABLE public.api_keys (
    prefix TEXT NOT NULL,
    name TEXT NOT NULL,
    secret_hash BYTEA NOT NULL,
    scopes TEXT[] NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE,
    revoked_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT api_keys_pkey PRIMARY KEY (prefix)
);
CREATE TABLE public.idempotency_keys (
    caller TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint BYTEA NOT NULL,
    status INTEGER NOT NULL,
    headers JSONB NOT NULL,
    body BYTEA NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT idempotency_keys_pkey PRIMARY KEY (caller, key)
);
CREATE INDEX idempotency_keys_expires_at_ix ON public.idempotency_keys (expires_at);
"""


def upgrade() -> None:
    if op.get_bind().scalar(text("SELECT to_regclass('duly.api_keys')")) is None:
        op.execute(KEYS)
    op.execute(
        """
CREATE TABLE public.invoices (
    id UUID NOT NULL,
    customer TEXT NOT NULL,
    email TEXT NOT NULL,
    currency TEXT NOT NULL,
    pdf TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT invoices_pkey PRIMARY KEY (id)
);
CREATE TABLE public.webhook_endpoints (
    id UUID NOT NULL,
    url TEXT NOT NULL,
    events TEXT[] NOT NULL,
    secret TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    disabled_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT webhook_endpoints_pkey PRIMARY KEY (id)
);
CREATE TABLE public.invoice_lines (
    invoice_id UUID NOT NULL,
    position INTEGER NOT NULL,
    description TEXT NOT NULL,
    quantity INTEGER NOT NULL,
    unit_price NUMERIC(12, 2) NOT NULL,
    CONSTRAINT invoice_lines_pkey PRIMARY KEY (invoice_id, position),
    CONSTRAINT invoice_lines_invoice_id_fkey FOREIGN KEY(invoice_id) REFERENCES public.invoices (id)
);
"""
    )


def downgrade() -> None:
    op.execute(
        """
DROP TABLE IF EXISTS public.idempotency_keys, public.api_keys;
DROP TABLE public.webhook_endpoints, public.invoice_lines, public.invoices
"""
    )
