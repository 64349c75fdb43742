"""What a person does to a job or a dead letter. Each statement also adds to the record of acts."""

from outbox.store.transitions.levels import REPLAYED
from outbox.store.transitions.members import count_ended

# queued -> cancelled, at once. A running job is only marked, so that it is not run again. As in
# REPLAY and DISCARD, a row of acts records who asked for it and why.
CANCEL = f"""
WITH cancelled AS (
    UPDATE duly.jobs
    SET state = CASE state WHEN 'queued' THEN 'cancelled' ELSE state END,
        finished_at = CASE state WHEN 'queued' THEN now() END,
        cancel_requested_at = coalesce(cancel_requested_at, now())
    WHERE id = %(id)s AND state IN ('queued', 'running')
    RETURNING id, state, kind, batch_id
), event AS (
    DELETE FROM duly.outbox_events USING cancelled WHERE job_id = cancelled.id
), record AS (
    INSERT INTO duly.acts (who, why, act, about)
    SELECT %(by)s::text, %(why)s::text, 'cancel', ARRAY['job:' || id] FROM cancelled
), {count_ended("cancelled")}
SELECT state, kind FROM cancelled
"""

# dead -> queued with a fresh budget of attempts. Closes the dead letter, which keeps who and why.
# A member of a batch reopens it; a member of a cancelled one is not replayed.
REPLAY = f"""
WITH letter AS (
    SELECT id, job_id, dispatch FROM duly.dead_letters
    WHERE id = ANY (%(ids)s) AND closed_at IS NULL
    ORDER BY id
    FOR UPDATE
), replayed AS (
    UPDATE duly.jobs AS job
    SET state = 'queued', dispatch = job.dispatch + 1, run_at = now(), finished_at = NULL,
        cancel_requested_at = NULL, attempt_limit = job.attempt + job.attempt_budget,
        replays = job.replays + 1
    FROM letter
    WHERE job.id = letter.job_id AND job.dispatch = letter.dispatch AND job.state = 'dead'
      AND (job.batch_id IS NULL
           OR NOT EXISTS (SELECT FROM duly.batches AS batch
                          WHERE batch.id = job.batch_id AND batch.cancelled_at IS NOT NULL))
    RETURNING letter.id AS letter_id, job.id, job.batch_id, job.dispatch, job.kind, job.queue,
              job.priority + {REPLAYED} AS level, job.run_at
), event AS (
    INSERT INTO duly.outbox_events (job_id, dispatch, kind, queue, priority, available_at)
    SELECT id, dispatch, kind, queue, level, run_at FROM replayed
    ON CONFLICT (job_id) DO UPDATE
    SET dispatch = excluded.dispatch, priority = excluded.priority,
        available_at = excluded.available_at, failures = 0
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
