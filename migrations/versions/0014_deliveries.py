"""Add the record of webhook deliveries, and to endpoints their owner, order and rotation."""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
ALTER TABLE public.webhook_endpoints
    ADD COLUMN description TEXT,
    ADD COLUMN owner_email TEXT,
    ADD COLUMN ordered BOOLEAN DEFAULT false NOT NULL,
    ADD COLUMN disabled_because TEXT,
    ADD COLUMN failing_since TIMESTAMP WITH TIME ZONE,
    ADD COLUMN old_secret TEXT,
    ADD COLUMN old_secret_until TIMESTAMP WITH TIME ZONE;
CREATE TABLE public.webhook_deliveries (
    id UUID NOT NULL,
    endpoint_id UUID NOT NULL,
    event TEXT NOT NULL,
    event_id UUID NOT NULL,
    subject TEXT,
    body TEXT NOT NULL,
    attempts JSONB NOT NULL,
    delivered_at TIMESTAMP WITH TIME ZONE,
    redelivered_as UUID,
    CONSTRAINT webhook_deliveries_pkey PRIMARY KEY (id)
);
CREATE INDEX webhook_deliveries_of_endpoint_ix
    ON public.webhook_deliveries (endpoint_id, id);
CREATE INDEX webhook_deliveries_undelivered_ix
    ON public.webhook_deliveries (endpoint_id, id)
    WHERE delivered_at IS NULL AND redelivered_as IS NULL;
"""
    )


def downgrade() -> None:
    op.execute(
        """
DROP TABLE public.webhook_deliveries;
ALTER TABLE public.webhook_endpoints
    DROP COLUMN description,
    DROP COLUMN owner_email,
    DROP COLUMN ordered,
    DROP COLUMN disabled_because,
    DROP COLUMN failing_since,
    DROP COLUMN old_secret,
    DROP COLUMN old_secret_until;
"""
    )
