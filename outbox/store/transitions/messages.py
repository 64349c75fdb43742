"""Messages to other services: from the transaction that publishes them to the broker's confirm."""

# new -> waiting, by a handler or an actor. Commits or rolls back with the caller's transaction.
# Positions are given in the order of the messages.
PUBLISH = """
INSERT INTO duly.outgoing_messages (id, exchange, routing_key, type, properties, body)
SELECT id, exchange, routing_key, type, decode(properties, 'base64'), decode(body, 'base64')
FROM json_to_recordset(%(messages)s::json)
     AS new (id uuid, exchange text, routing_key text, type text, properties text, body text)
"""

# Relay: is there a message that waits? One probe of each index.
MESSAGES_WAIT = """
SELECT FROM duly.outgoing_messages WHERE sent_at IS NULL AND deferred_until IS NULL
UNION ALL
SELECT FROM duly.outgoing_messages
WHERE sent_at IS NULL AND deferred_until IS NOT NULL AND deferred_until <= now()
LIMIT 1
"""

# Relay: locks messages in order, from the scan cursor on, and some of those that were deferred. It
# returns as many as make 8 MB; the others stay locked, but are not published by this batch.
LOCK_MESSAGES = """
WITH fresh AS (
    SELECT id, position, exchange, routing_key, properties, body
    FROM duly.outgoing_messages
    WHERE sent_at IS NULL AND deferred_until IS NULL AND position > %(after)s::bigint
    ORDER BY position
    LIMIT 1000
    FOR UPDATE SKIP LOCKED
), deferred AS (
    SELECT id, position, exchange, routing_key, properties, body
    FROM duly.outgoing_messages
    WHERE sent_at IS NULL AND deferred_until IS NOT NULL AND deferred_until <= now()
    ORDER BY deferred_until
    LIMIT 100
    FOR UPDATE SKIP LOCKED
), due AS (
    SELECT *, sum(length(body)) OVER (ORDER BY position) - length(body) AS bytes_before
    FROM (SELECT *, true AS is_fresh FROM fresh UNION ALL SELECT *, false FROM deferred) AS either
)
SELECT id::text, exchange, routing_key, properties, body,
       CASE WHEN is_fresh THEN position END AS position
FROM due
WHERE bytes_before < 8000000
ORDER BY due.position
"""

# Relay: keeps messages that the broker has confirmed, to be sent again if somebody asks for it.
KEEP_SENT = """
UPDATE duly.outgoing_messages SET sent_at = clock_timestamp(), deferred_until = NULL
WHERE id = ANY (%(id)s::uuid[])
"""

# Relay: defers messages that the broker returned or refused. Each backs off alone, some 1 s to
# 5 min. One that the broker takes no messages for now counts no failure.
DEFER_MESSAGES = """
UPDATE duly.outgoing_messages AS message
SET failures = least(message.failures + refused.failures, 1000),
    deferred_until = now() + least(power(2, least(message.failures, 9)), 300)
                             * (0.75 + random() / 2) * interval '1 second'
FROM unnest(%(id)s::uuid[], %(failures)s::int[]) AS refused (id, failures)
WHERE message.id = ANY (%(id)s::uuid[]) AND message.id = refused.id
RETURNING message.id::text, message.failures
"""

# Relay: a message that was refused too often becomes a dead letter with its bytes. It stays, and is
# due again once somebody replays the letter.
BURY_MESSAGE = """
WITH buried AS (
    UPDATE duly.outgoing_messages
    SET deferred_until = 'infinity'
    WHERE id = %(id)s AND sent_at IS NULL AND deferred_until < 'infinity'
      AND failures >= %(failures)s
    RETURNING id, body
)
INSERT INTO duly.dead_letters (queue, reason, error_message, message_body, message_headers,
                               collected_at, outgoing_id)
SELECT %(queue)s, %(reason)s, %(why)s, body, %(headers)s::jsonb, now(), id FROM buried
RETURNING id
"""
