"""Add files: documents with a lifetime, and what uses them."""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
CREATE TABLE public.files (
    id UUID NOT NULL,
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    size BIGINT,
    media_type TEXT,
    sha256 TEXT,
    by TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT files_pkey PRIMARY KEY (id),
    CONSTRAINT files_name_key UNIQUE (name),
    CONSTRAINT files_state CHECK (state IN ('storing', 'stored', 'deleting'))
);
CREATE INDEX files_expiring ON public.files (expires_at) WHERE state = 'stored';
CREATE INDEX files_unstored ON public.files (created_at) WHERE state <> 'stored';
CREATE TABLE public.file_uses (
    file_id UUID NOT NULL,
    used_by TEXT NOT NULL,
    CONSTRAINT file_uses_pkey PRIMARY KEY (file_id, used_by),
    CONSTRAINT file_uses_file_id_fkey FOREIGN KEY (file_id) REFERENCES public.files (id)
);
CREATE INDEX file_uses_used_by_ix ON public.file_uses (used_by);
"""
    )


def downgrade() -> None:
    op.execute("DROP TABLE public.file_uses, public.files")
