"""Add images and their versions."""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
CREATE TABLE public.images (
    id UUID NOT NULL,
    state TEXT NOT NULL,
    why TEXT,
    width INTEGER,
    height INTEGER,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT images_pkey PRIMARY KEY (id),
    CONSTRAINT images_state CHECK (state IN ('waiting', 'ready', 'refused'))
);
CREATE TABLE public.image_versions (
    image_id UUID NOT NULL,
    size TEXT NOT NULL,
    format TEXT NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    file_id UUID NOT NULL,
    CONSTRAINT image_versions_pkey PRIMARY KEY (image_id, size, format),
    CONSTRAINT image_versions_image_id_fkey FOREIGN KEY (image_id) REFERENCES public.images (id),
    CONSTRAINT image_versions_file_id_fkey FOREIGN KEY (file_id) REFERENCES public.files (id)
);
"""
    )


def downgrade() -> None:
    op.execute("DROP TABLE public.image_versions, public.images")
