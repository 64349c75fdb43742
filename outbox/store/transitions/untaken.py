"""What happens to jobs that no worker takes: for want of a message, of a worker or of time."""

from outbox.store.transitions.levels import LEVEL
from outbox.store.transitions.members import count_ended

# queued -> dead without an attempt: its message cannot be published, or no worker knows its kind.
DIE_UNCLAIMED = f"""
WITH buried AS (
    UPDATE duly.jobs AS job
    SET state = 'dead', finished_at = now()
    FROM unnest(%(id)s::uuid[], %(dispatch)s::int[], %(kind)s::text[], %(queue)s::text[],
                %(reason)s::text[], %(error_type)s::text[], %(error_message)s::text[])
         WITH ORDINALITY AS grave (id, dispatch, kind, queue, reason, error_type, error_message, n)
    WHERE job.id = ANY (%(id)s::uuid[])
      AND job.id = grave.id AND job.dispatch = grave.dispatch
      AND job.kind = grave.kind AND job.queue = grave.queue
      AND job.run_at <= now() AND job.state || '' = 'queued'
    RETURNING job.id, job.batch_id, job.dispatch, job.kind, job.queue, grave.reason,
              grave.error_type, grave.error_message, grave.n
), event AS (
    DELETE FROM duly.outbox_events USING buried
    WHERE job_id = ANY (%(id)s::uuid[]) AND job_id = buried.id
), letter AS (
    INSERT INTO duly.dead_letters (job_id, dispatch, kind, queue, reason, error_type,
                                   error_message)
    SELECT id, dispatch, kind, queue, reason, nullif(error_type, ''), error_message FROM buried
), {count_ended("buried", "dead")}
SELECT n FROM buried
"""

# queued -> queued, or running -> queued with the attempt given back: this worker does not know the
# job's kind, or does not understand its payload. Another may, so the job waits for as long as it
# has been refused already, at least 2 s and at most a minute. Once it has been refused for
# `patience_seconds`, this statement does nothing.
# Table refusals holds when the first refusal was. Each refusal moves its row to the job's new
# dispatch. So a row with an older dispatch means that another transition has moved the job since;
# that row no longer counts.
# `attempt` is 0 if the caller has only a message, and the job must then be queued. A message may be
# forged, so its kind and queue must match as well.
POSTPONE = f"""
WITH refusal AS (
    SELECT asked.*, coalesce(earlier.since, now()) AS since,
           least(greatest(extract(epoch FROM now() - earlier.since), 2), 60) AS delay_seconds
    FROM unnest(%(id)s::uuid[], %(dispatch)s::int[], %(attempt)s::int[], %(kind)s::text[],
                %(queue)s::text[], %(why)s::text[], %(patience_seconds)s::float8[],
                %(trace)s::text[])
         WITH ORDINALITY AS asked (id, dispatch, attempt, kind, queue, why, patience_seconds, trace,
                                   n)
    LEFT JOIN duly.refusals AS earlier
           ON earlier.job_id = asked.id AND earlier.job_id = ANY (%(id)s::uuid[])
          AND earlier.dispatch = asked.dispatch
), refused AS (
    UPDATE duly.jobs AS job
    SET state = 'queued', dispatch = job.dispatch + 1,
        attempt = job.attempt - CASE job.state WHEN 'running' THEN 1 ELSE 0 END,
        run_at = now() + refusal.delay_seconds * interval '1 second',
        attempt_trace = coalesce(nullif(refusal.trace, ''), job.attempt_trace)
    FROM refusal
    WHERE job.id = ANY (%(id)s::uuid[])
      AND job.id = refusal.id AND job.dispatch = refusal.dispatch
      AND (job.state || '' = 'queued' AND refusal.attempt = 0 AND job.kind = refusal.kind
           AND job.queue = refusal.queue AND job.run_at <= now()
           OR job.state || '' = 'running' AND job.attempt = refusal.attempt
           AND job.worker = %(worker)s AND job.cancel_requested_at IS NULL)
      AND refusal.since > now() - refusal.patience_seconds * interval '1 second'
    RETURNING job.id, job.dispatch, job.kind, job.queue, {LEVEL},
              job.run_at, job.keys, job.position, refusal.since, refusal.why, refusal.n
), kept AS (
    INSERT INTO duly.refusals (job_id, dispatch, since, why)
    SELECT id, dispatch, since, why FROM refused
    ON CONFLICT (job_id) DO UPDATE
    SET dispatch = excluded.dispatch, since = excluded.since, why = excluded.why
), event AS (
    INSERT INTO duly.outbox_events (job_id, dispatch, kind, queue, priority, available_at, keys,
                                    position)
    SELECT id, dispatch, kind, queue, level, run_at, keys, position FROM refused
    ON CONFLICT (job_id) DO UPDATE
    SET dispatch = excluded.dispatch, available_at = excluded.available_at, failures = 0,
        keys = excluded.keys
)
SELECT n FROM refused
"""

# Relay: queued -> cancelled, for jobs that have not begun by their `expires_at`. What has begun
# does not expire, also while it waits for another attempt. If `only` is not null, only these jobs.
EXPIRE = f"""
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
    RETURNING job.id, job.batch_id, job.kind, job.cancel_reason
), event AS (
    DELETE FROM duly.outbox_events USING cancelled WHERE job_id = cancelled.id
), {count_ended("cancelled", "cancelled")}
SELECT id, kind, cancel_reason FROM cancelled
"""
