"""What a person does to jobs, dead letters, queues and keys. Each also records the act."""

from outbox.store.transitions.levels import LEVEL, REPLAYED
from outbox.store.transitions.members import count_ended, in_cancelled

# queued -> cancelled, at once. Running jobs are only marked, so that they are not run again. As in
# REPLAY and DISCARD, a row of acts records who asked for it and why, and rows are locked in order.
CANCEL = f"""
WITH open AS (
    SELECT id FROM duly.jobs
    WHERE id = ANY (%(ids)s) AND state || '' IN ('queued', 'running')
    ORDER BY id
    FOR UPDATE
), cancelled AS (
    UPDATE duly.jobs AS job
    SET state = CASE job.state WHEN 'queued' THEN 'cancelled' ELSE job.state END,
        finished_at = CASE job.state WHEN 'queued' THEN now() END,
        cancel_requested_at = coalesce(job.cancel_requested_at, now()),
        cancel_reason = coalesce(job.cancel_reason, %(why)s::text)
    FROM open
    WHERE job.id = ANY (%(ids)s) AND job.id = open.id
    RETURNING job.id, job.state, job.kind, job.batch_id
), event AS (
    DELETE FROM duly.outbox_events USING cancelled
    WHERE job_id = ANY (%(ids)s) AND job_id = cancelled.id
), record AS (
    INSERT INTO duly.acts (who, why, act, about)
    SELECT %(by)s::text, %(why)s::text, 'cancel', array_agg('job:' || id)
    FROM cancelled
    HAVING count(*) > 0
), {count_ended("cancelled", "cancelled", some_stay=True)}
SELECT id, state, kind FROM cancelled
"""

# queued -> queued, with another time, priority or queue; null keeps what there is. The next
# dispatch makes messages that are on their way stale, in whatever queue. Not for a job that would
# expire before it may run.
RESCHEDULE = f"""
WITH moved AS (
    UPDATE duly.jobs AS job
    SET dispatch = job.dispatch + 1,
        run_at = CASE WHEN %(run_at)s::timestamptz IS NULL THEN job.run_at
                      ELSE greatest(%(run_at)s::timestamptz, now()) END,
        priority = coalesce(%(priority)s::smallint, job.priority),
        queue = coalesce(%(queue)s::text, job.queue)
    WHERE job.id = %(id)s AND job.state || '' = 'queued'
      AND (job.expires_at IS NULL OR job.started_at IS NOT NULL
           OR job.expires_at > greatest(coalesce(%(run_at)s::timestamptz, job.run_at), now()))
    RETURNING job.id, job.dispatch, job.kind, job.queue, {LEVEL}, job.run_at,
              job.keys, job.position
), event AS (
    INSERT INTO duly.outbox_events (job_id, dispatch, kind, queue, priority, available_at, keys,
                                    position)
    SELECT id, dispatch, kind, queue, level, run_at, keys, position FROM moved
    ON CONFLICT (job_id) DO UPDATE
    SET dispatch = excluded.dispatch, queue = excluded.queue, priority = excluded.priority,
        available_at = excluded.available_at, failures = 0, keys = excluded.keys
), record AS (
    INSERT INTO duly.acts (who, why, act, about)
    SELECT %(by)s::text, %(why)s::text, 'reschedule', ARRAY['job:' || id] FROM moved
)
SELECT kind, queue, run_at FROM moved
"""

# dead -> queued with a fresh budget of attempts, and for as long as it takes: it no longer expires.
# Closes the dead letter, which keeps who and why. A member of a batch reopens it; a member of a
# cancelled one, or of one in a cancelled one, is not replayed.
REPLAY = f"""
WITH letter AS (
    SELECT id, job_id, dispatch FROM duly.dead_letters
    WHERE id = ANY (%(ids)s) AND closed_at IS NULL
    ORDER BY id
    FOR UPDATE
), replayed AS (
    UPDATE duly.jobs AS job
    SET state = 'queued', dispatch = job.dispatch + 1, run_at = now(), finished_at = NULL,
        cancel_requested_at = NULL, expires_at = NULL,
        attempt_limit = job.attempt + job.attempt_budget, replays = job.replays + 1
    FROM letter
    WHERE job.id = letter.job_id AND job.dispatch = letter.dispatch AND job.state = 'dead'
      AND (job.batch_id IS NULL OR NOT {in_cancelled("job.batch_id")})
    RETURNING letter.id AS letter_id, job.id, job.batch_id, job.dispatch, job.kind, job.queue,
              job.priority + {REPLAYED} AS level, job.run_at, job.keys, job.position
), event AS (
    INSERT INTO duly.outbox_events (job_id, dispatch, kind, queue, priority, available_at, keys,
                                    position)
    SELECT id, dispatch, kind, queue, level, run_at, keys, position FROM replayed
    ON CONFLICT (job_id) DO UPDATE
    SET dispatch = excluded.dispatch, priority = excluded.priority,
        available_at = excluded.available_at, failures = 0, keys = excluded.keys
), change AS (
    INSERT INTO duly.batch_changes (batch_id, dead, reopens)
    SELECT batch_id, -count(*), true FROM replayed WHERE batch_id IS NOT NULL GROUP BY batch_id
), closed AS (
    UPDATE duly.dead_letters AS old
    SET closed_at = now(), resolution = 'replayed', closed_by = %(by)s::text,
        close_reason = %(why)s::text
    FROM replayed
    WHERE old.id = replayed.letter_id
    RETURNING old.id, old.job_id, old.kind
), record AS (
    INSERT INTO duly.acts (who, why, act, about)
    SELECT %(by)s::text, %(why)s::text, 'replay',
           array_agg('dead-letter:' || id) || array_remove(array_agg('job:' || job_id), NULL)
    FROM closed
    HAVING count(*) > 0
)
SELECT id, job_id, kind FROM closed
"""

# Closes dead letters; their jobs stay dead and keep their history. In batches they count as
# cancelled from then on. Letters are locked in the same
# order as in REPLAY, so that two people's bulk actions wait for each other and do not deadlock.
DISCARD = """
WITH letter AS (
    SELECT id FROM duly.dead_letters
    WHERE id = ANY (%(ids)s) AND closed_at IS NULL
    ORDER BY id
    FOR UPDATE
), closed AS (
    UPDATE duly.dead_letters AS old
    SET closed_at = now(), resolution = 'discarded', closed_by = %(by)s::text,
        close_reason = %(why)s::text
    FROM letter
    WHERE old.id = letter.id
    RETURNING old.id, old.job_id, old.kind
), change AS (
    INSERT INTO duly.batch_changes (batch_id, dead, cancelled)
    SELECT batch_id, -count(*), count(*)
    FROM duly.jobs
    WHERE id IN (SELECT job_id FROM closed) AND batch_id IS NOT NULL
    GROUP BY batch_id
), record AS (
    INSERT INTO duly.acts (who, why, act, about)
    SELECT %(by)s::text, %(why)s::text, 'discard',
           array_agg('dead-letter:' || id) || array_remove(array_agg('job:' || job_id), NULL)
    FROM closed
    HAVING count(*) > 0
)
SELECT id, job_id, kind FROM closed
"""

# Relays publish nothing of the queue, until RESUME_QUEUE. Both tell the relays, by a NOTIFY that
# goes out with the commit: few commits are such an act, so they do not slow each other down.
PAUSE_QUEUE = """
WITH paused AS (
    INSERT INTO duly.paused_queues (queue, who, why)
    VALUES (%(queue)s, %(by)s, %(why)s)
    ON CONFLICT (queue) DO NOTHING
    RETURNING queue, since, who, why
), record AS (
    INSERT INTO duly.acts (who, why, act, about)
    SELECT who, why, 'queue-pause', ARRAY['queue:' || queue] FROM paused
)
SELECT since, who, why, pg_notify(%(channel)s, %(message)s) FROM paused
"""
RESUME_QUEUE = """
WITH resumed AS (
    DELETE FROM duly.paused_queues WHERE queue = %(queue)s RETURNING queue
), record AS (
    INSERT INTO duly.acts (who, why, act, about)
    SELECT %(by)s::text, %(why)s::text, 'queue-resume', ARRAY['queue:' || queue] FROM resumed
)
SELECT pg_notify(%(channel)s, %(message)s) FROM resumed
"""

# What holds for a key instead of the limit and rate of its kinds; null is what they declare. Both
# also lift a pause that a receiver has asked for, and tell the relays as PAUSE_QUEUE does.
SET_LIMIT = """
WITH changed AS (
    INSERT INTO duly.key_limits (key, at_most, permits, per, burst, who, why)
    VALUES (%(key)s, %(at_most)s, %(permits)s, %(per)s, %(burst)s, %(by)s, %(why)s)
    ON CONFLICT (key) DO UPDATE
    SET at_most = excluded.at_most, permits = excluded.permits, per = excluded.per,
        burst = excluded.burst, since = now(), who = excluded.who, why = excluded.why
    RETURNING key, since, who, why
), resumed AS (
    UPDATE duly.key_clocks SET not_before = NULL WHERE key = %(key)s
), record AS (
    INSERT INTO duly.acts (who, why, act, about)
    SELECT who, why, 'limit-set', ARRAY['limit:' || key] FROM changed
)
SELECT since, who, why, pg_notify(%(channel)s, %(message)s) FROM changed
"""
CLEAR_LIMIT = """
WITH cleared AS (
    DELETE FROM duly.key_limits WHERE key = %(key)s RETURNING key
), resumed AS (
    UPDATE duly.key_clocks SET not_before = NULL WHERE key = %(key)s
), record AS (
    INSERT INTO duly.acts (who, why, act, about)
    SELECT %(by)s::text, %(why)s::text, 'limit-clear', ARRAY['limit:' || key] FROM cleared
)
SELECT pg_notify(%(channel)s, %(message)s) FROM cleared
"""
