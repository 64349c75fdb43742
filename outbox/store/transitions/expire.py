"""Ends jobs that nobody wants any more, as they have not begun in time."""

# Relay: queued -> cancelled, for jobs that have not begun by their `expires_at`. What has begun
# does not expire, also while it waits for another attempt. If `only` is not null, only these jobs.
EXPIRE = """
WITH expired AS (
    SELECT id FROM duly.jobs
    WHERE state = 'queued' AND started_at IS NULL AND expires_at <= now()
      AND (%(only)s::uuid[] IS NULL OR id = ANY (%(only)s::uuid[]))
    LIMIT 1000
    FOR UPDATE SKIP LOCKED
), cancelled AS (
    UPDATE duly.jobs AS job
    SET state = 'cancelled', finished_at = now(), cancel_reason = 'it had not begun by expires_at'
    FROM expired
    WHERE job.id = expired.id
    RETURNING job.id, job.kind, job.cancel_reason
), event AS (
    DELETE FROM duly.outbox_events USING cancelled WHERE job_id = cancelled.id
)
SELECT id, kind, cancel_reason FROM cancelled
"""
