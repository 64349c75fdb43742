-- Messages to other services. No table of jobs changes.

CREATE TABLE duly.outgoing_messages (
    id UUID NOT NULL,
    position BIGINT GENERATED ALWAYS AS IDENTITY,
    exchange TEXT NOT NULL,
    routing_key TEXT NOT NULL,
    type TEXT NOT NULL,
    properties BYTEA NOT NULL,
    body BYTEA NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    failures SMALLINT DEFAULT 0 NOT NULL,
    deferred_until TIMESTAMP WITH TIME ZONE,
    sent_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT outgoing_messages_pkey PRIMARY KEY (id)
);
CREATE INDEX outgoing_messages_in_order ON duly.outgoing_messages (position)
    WHERE sent_at IS NULL AND deferred_until IS NULL;
CREATE INDEX outgoing_messages_deferred ON duly.outgoing_messages (deferred_until)
    WHERE deferred_until IS NOT NULL;
CREATE INDEX outgoing_messages_sent ON duly.outgoing_messages (sent_at) WHERE sent_at IS NOT NULL;
ALTER TABLE duly.dead_letters ADD COLUMN outgoing_id UUID;
CREATE INDEX dead_letters_by_message ON duly.dead_letters (outgoing_id)
    WHERE outgoing_id IS NOT NULL;

-- Messages of other services: what has become a job is not done again.

CREATE TABLE duly.received_messages (
    queue TEXT NOT NULL,
    message_id TEXT NOT NULL,
    deliveries SMALLINT DEFAULT 0 NOT NULL,
    received_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    done_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT received_messages_pkey PRIMARY KEY (queue, message_id)
);
CREATE INDEX received_messages_by_age ON duly.received_messages (received_at);
