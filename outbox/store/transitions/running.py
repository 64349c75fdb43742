"""What a worker does with a job that stays running, and how a cancel ends one."""

from outbox.store.transitions.members import count_ended

# running -> running: a part of the effect is done. Executed in the actor's transaction, at its end.
STEP = """
UPDATE duly.jobs SET checkpoint = %(checkpoint)s::jsonb
WHERE id = %(id)s::uuid AND dispatch = %(dispatch)s::int AND attempt = %(attempt)s::int
  AND worker = %(worker)s::text AND state || '' = 'running'
RETURNING id
"""

# How far running jobs are. `from` and `since` are the attempt's first report, for its rate. A job
# may have succeeded in the same commit, just before. Waits for no lock: the transaction that
# completes the job holds one while its commit waits, and other jobs' claims and outcomes would wait
# for that.
SAVE_PROGRESS = """
WITH free AS (
    SELECT job.id, job.attempt, told.progress::jsonb AS progress, told.n
    FROM duly.jobs AS job
    JOIN unnest(%(id)s::uuid[], %(dispatch)s::int[], %(attempt)s::int[], %(progress)s::text[])
         WITH ORDINALITY AS told (id, dispatch, attempt, progress, n)
      ON job.id = told.id AND job.dispatch = told.dispatch AND job.attempt = told.attempt
    WHERE job.id = ANY (%(id)s::uuid[])
      AND job.worker = %(worker)s AND job.state || '' IN ('running', 'succeeded')
    FOR UPDATE OF job SKIP LOCKED
)
UPDATE duly.jobs AS job
SET progress = free.progress || jsonb_build_object('at', now(), 'attempt', free.attempt)
    || CASE WHEN (job.progress ->> 'attempt')::int = free.attempt
            THEN jsonb_build_object('from', job.progress -> 'from',
                                    'since', job.progress -> 'since')
            ELSE jsonb_build_object('from', free.progress -> 'done', 'since', now()) END
FROM free
WHERE job.id = free.id
RETURNING free.n
"""

# Worker: which of its jobs is it to cancel?
JOBS_TO_CANCEL = """
SELECT 1 AS n, coalesce(jsonb_agg(jsonb_build_array(id, dispatch)), '[]') AS jobs
FROM duly.jobs
WHERE state = 'running' AND cancel_requested_at IS NOT NULL AND worker = %(worker)s
"""

# running -> cancelled: its actor was interrupted because CANCEL had asked. It was no failure, so
# the attempt leaves no error.
STOP = f"""
WITH stopped AS (
    UPDATE duly.jobs AS job
    SET state = 'cancelled', finished_at = now()
    FROM unnest(%(id)s::uuid[], %(dispatch)s::int[], %(attempt)s::int[])
         WITH ORDINALITY AS asked (id, dispatch, attempt, n)
    WHERE job.id = ANY (%(id)s::uuid[])
      AND job.id = asked.id AND job.dispatch = asked.dispatch AND job.attempt = asked.attempt
      AND job.worker = %(worker)s AND job.state || '' = 'running'
      AND job.cancel_requested_at IS NOT NULL
    RETURNING asked.n, job.state, job.batch_id
), {count_ended("stopped")}
SELECT n FROM stopped
"""
