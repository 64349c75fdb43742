"""Add imports, and the charges that they bring."""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
CREATE TABLE public.imports (
    id UUID NOT NULL,
    file TEXT NOT NULL,
    size BIGINT,
    received BIGINT NOT NULL,
    begun INTEGER NOT NULL,
    options JSONB NOT NULL,
    state TEXT NOT NULL,
    found JSONB,
    reason TEXT,
    bytes_read BIGINT NOT NULL,
    batch_id UUID,
    bad_rows TEXT,
    created_by TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    ended_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT imports_pkey PRIMARY KEY (id),
    CONSTRAINT imports_state CHECK (state IN
        ('uploading', 'running', 'finished', 'refused', 'failed', 'cancelled', 'expired'))
);
CREATE INDEX imports_uploading ON public.imports (expires_at) WHERE state = 'uploading';
CREATE TABLE public.import_parts (
    import_id UUID NOT NULL,
    begin BIGINT NOT NULL,
    size INTEGER NOT NULL,
    name TEXT NOT NULL,
    CONSTRAINT import_parts_pkey PRIMARY KEY (import_id, begin),
    CONSTRAINT import_parts_import_id_fkey FOREIGN KEY (import_id) REFERENCES public.imports (id)
);
CREATE TABLE public.import_chunks (
    import_id UUID NOT NULL,
    number INTEGER NOT NULL,
    name TEXT NOT NULL,
    rows INTEGER NOT NULL,
    good INTEGER,
    bad INTEGER,
    bad_rows TEXT,
    CONSTRAINT import_chunks_pkey PRIMARY KEY (import_id, number),
    CONSTRAINT import_chunks_import_id_fkey FOREIGN KEY (import_id) REFERENCES public.imports (id)
);
CREATE TABLE public.charges (
    import_id UUID NOT NULL,
    line INTEGER NOT NULL,
    customer TEXT NOT NULL,
    email TEXT NOT NULL,
    description TEXT NOT NULL,
    quantity NUMERIC(14, 4) NOT NULL,
    unit_price NUMERIC(14, 4) NOT NULL,
    currency TEXT NOT NULL,
    date DATE NOT NULL,
    reference TEXT,
    CONSTRAINT charges_pkey PRIMARY KEY (import_id, line)
);
"""
    )


def downgrade() -> None:
    op.execute(
        "DROP TABLE public.charges, public.import_chunks, public.import_parts, public.imports"
    )
