"""What the relay does with a message from a dead-letter queue (`<queue>.XQ`)."""

from outbox.store.transitions.levels import LEVEL, UNADMITTED

# Relay, from <queue>.XQ: adds the message's bytes to the dead letter that the worker wrote.
ATTACH_MESSAGE = """
UPDATE duly.dead_letters
SET message_body = %(body)s, message_headers = %(headers)s::jsonb, collected_at = now()
WHERE job_id = %(job_id)s AND dispatch = %(dispatch)s AND message_body IS NULL
RETURNING id
"""

# Worker, and relay from <queue>.XQ: keeps messages that belong to no job of ours as dead letters.
KEEP_FOREIGN = """
WITH message AS (
    SELECT * FROM unnest(%(queue)s::text[], %(error_message)s::text[], %(body)s::bytea[],
                         %(headers)s::text[])
         WITH ORDINALITY AS message (queue, error_message, body, headers, n)
), letter AS (
    INSERT INTO duly.dead_letters (queue, reason, error_type, error_message, message_body,
                                   message_headers, collected_at)
    SELECT queue, 'malformed', 'Malformed', error_message, body, headers::jsonb, now()
    FROM message
)
SELECT n FROM message
"""

# Relay, from <queue>.XQ: does this job exist?
JOB_EXISTS = "SELECT 1 FROM duly.jobs WHERE id = %(job_id)s"

# Relay, from <queue>.XQ: publishes a valid message again that was rejected before any attempt, for
# example because dying consumers got it redelivered too often.
REDISPATCH = f"""
INSERT INTO duly.outbox_events (job_id, dispatch, kind, queue, priority, available_at, keys,
                                position)
SELECT id, dispatch, kind, queue, {LEVEL}, now() + %(delay_seconds)s * interval '1 second',
    {UNADMITTED}, position
FROM duly.jobs AS job
WHERE id = %(job_id)s AND dispatch = %(dispatch)s AND kind = %(kind)s AND queue = %(queue)s
  AND state || '' = 'queued'
ON CONFLICT (job_id) DO NOTHING
RETURNING job_id
"""
