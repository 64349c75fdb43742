"""Create the tables of webhooks in."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
CREATE TABLE public.hook_sources (
    name TEXT NOT NULL,
    secret TEXT NOT NULL,
    previous_secret TEXT,
    previous_until TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT hook_sources_pkey PRIMARY KEY (name)
);
CREATE TABLE public.hook_events (
    id UUID NOT NULL,
    source TEXT NOT NULL,
    event_id TEXT NOT NULL,
    type TEXT,
    created_at TIMESTAMP WITH TIME ZONE,
    received_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    payload BYTEA NOT NULL,
    job_id UUID,
    why TEXT,
    CONSTRAINT hook_events_pkey PRIMARY KEY (id),
    CONSTRAINT hook_events_source_key UNIQUE (source, event_id)
);
CREATE INDEX hook_events_received_at_ix ON public.hook_events (received_at);
CREATE INDEX hook_events_unknown_ix ON public.hook_events (id) WHERE job_id IS NULL;
"""
    )


def downgrade() -> None:
    op.execute("DROP TABLE public.hook_events, public.hook_sources")
