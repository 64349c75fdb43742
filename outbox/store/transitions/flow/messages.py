"""Messages to other services, up to the broker's confirm; messages of others, up to their jobs."""

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
WHERE deferred_until <= now()
LIMIT 1
"""

# Relay: locks messages in order, from the scan cursor on, and some of those that were deferred. It
# returns as many as make 8 MB, and how many are locked: the others must be let go before the next
# batch, which would pass them over.
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
    WHERE deferred_until <= now()
    ORDER BY deferred_until
    LIMIT 100
    FOR UPDATE SKIP LOCKED
), due AS (
    SELECT *, sum(length(body)) OVER (ORDER BY position) - length(body) AS bytes_before,
           count(*) OVER () AS locked
    FROM (SELECT *, true AS is_fresh FROM fresh UNION ALL SELECT *, false FROM deferred) AS either
)
SELECT id::text, exchange, routing_key, properties, body,
       CASE WHEN is_fresh THEN position END AS position, locked
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
    WHERE id = %(id)s AND deferred_until < 'infinity' AND failures >= %(failures)s
    RETURNING id, body
)
INSERT INTO duly.dead_letters (queue, reason, error_message, message_body, message_headers,
                               collected_at, outgoing_id)
SELECT %(queue)s, %(reason)s, %(why)s, body, %(headers)s::jsonb, now(), id FROM buried
RETURNING id
"""

# A person: a message that became a dead letter is due again. Its letter is closed.
REPLAY_MESSAGES = """
WITH letter AS (
    SELECT id, outgoing_id FROM duly.dead_letters
    WHERE id = ANY (%(ids)s) AND closed_at IS NULL
    ORDER BY id
    FOR UPDATE
), again AS (
    UPDATE duly.outgoing_messages AS message
    SET deferred_until = NULL, failures = 0
    FROM letter
    WHERE message.id = letter.outgoing_id AND message.deferred_until = 'infinity'
    RETURNING letter.id AS letter_id, message.id
), closed AS (
    UPDATE duly.dead_letters AS old
    SET closed_at = now(), resolution = 'replayed', closed_by = %(by)s::text,
        close_reason = %(why)s::text
    FROM again
    WHERE old.id = again.letter_id
    RETURNING old.id, old.job_id, old.kind, old.outgoing_id
), record AS (
    INSERT INTO duly.acts (who, why, act, about)
    SELECT %(by)s::text, %(why)s::text, 'replay',
           array_agg('dead-letter:' || id) || array_agg('message:' || outgoing_id)
    FROM closed
    HAVING count(*) > 0
)
SELECT id, job_id, kind FROM closed
"""

# A person: some of the messages that were sent in a time are due again, in their old order.
RESEND = """
WITH sent AS (
    SELECT id FROM duly.outgoing_messages
    WHERE sent_at >= %(since)s AND sent_at < %(until)s
      AND (%(exchange)s::text IS NULL OR exchange = %(exchange)s::text)
      AND (%(routing_key)s::text IS NULL OR routing_key = %(routing_key)s::text)
    LIMIT 1000
    FOR UPDATE SKIP LOCKED
), again AS (
    UPDATE duly.outgoing_messages AS message
    SET sent_at = NULL, failures = 0
    WHERE message.id = ANY (ARRAY(SELECT id FROM sent))
    RETURNING message.id
), record AS (
    INSERT INTO duly.acts (who, why, act, about)
    SELECT %(by)s::text, %(why)s::text, 'resend', array_agg('message:' || id)
    FROM again
    HAVING count(*) > 0
)
SELECT id FROM again
"""

# Relay: deletes messages that were sent longer ago than the retention, and those whose dead letter
# was discarded.
PRUNE_MESSAGES = """
WITH sent AS (
    SELECT id FROM duly.outgoing_messages
    WHERE sent_at < now() - %(retention)s
    LIMIT 1000
    FOR UPDATE SKIP LOCKED
), discarded AS (
    SELECT id FROM duly.outgoing_messages AS message
    WHERE deferred_until = 'infinity'
      AND NOT EXISTS (SELECT FROM duly.dead_letters AS letter
                      WHERE letter.outgoing_id = message.id AND letter.closed_at IS NULL)
    LIMIT 1000
    FOR UPDATE SKIP LOCKED
)
DELETE FROM duly.outgoing_messages
WHERE id = ANY (ARRAY(SELECT id FROM sent UNION ALL SELECT id FROM discarded))
"""

# Worker: begins messages in the transaction that submits their jobs; returns those not yet done.
# Another worker that has the same one waits for this transaction: all take them in order.
RECEIVE = """
INSERT INTO duly.received_messages AS old (queue, message_id, done_at)
SELECT queue, message_id, now()
FROM json_to_recordset(%(messages)s::json) AS new (queue text, message_id text)
ON CONFLICT (queue, message_id) DO UPDATE SET done_at = excluded.done_at
WHERE old.done_at IS NULL
RETURNING queue, message_id
"""

# Worker: counts how often a message was begun after RabbitMQ had delivered it again.
COUNT_DELIVERY = """
INSERT INTO duly.received_messages AS old (queue, message_id, deliveries)
VALUES (%(queue)s, %(message_id)s, 1)
ON CONFLICT (queue, message_id) DO UPDATE SET deliveries = least(old.deliveries + 1, 1000)
WHERE old.done_at IS NULL
RETURNING deliveries
"""

# Relay: forgets messages that were received longer ago than the retention.
PRUNE_RECEIVED = """
DELETE FROM duly.received_messages
WHERE (queue, message_id) IN (
    SELECT queue, message_id FROM duly.received_messages
    WHERE received_at < now() - %(retention)s
    LIMIT 1000 FOR UPDATE SKIP LOCKED)
"""
