"""What a worker does with a job: it claims it, tells how far it is, and records how it ended."""

from outbox.store.transitions.levels import LEVEL
from outbox.store.transitions.members import count_ended

# queued -> running. It need not wait for the disk: see outbox/worker/records/group_commit.py. A job
# that this worker already runs is claimed again without a new attempt: its first claim committed,
# but the answer was lost with the connection. (The worker itself drops a message for a job that it
# has in flight.) Kind and run_at are fenced too: a forged message runs no job early, and none as
# another kind. A job that has not begun by its `expires_at` does not begin. Nor does one with keys
# under which this dispatch was not admitted: whoever has published its message. `dead_seconds` is
# how long ago a job first died that has been replayed.
CLAIM = """
UPDATE duly.jobs AS job
SET state = 'running', worker = %(worker)s, started_at = now(),
    attempt = job.attempt + CASE job.state WHEN 'queued' THEN 1 ELSE 0 END
FROM unnest(%(id)s::uuid[], %(dispatch)s::int[], %(kind)s::text[])
     WITH ORDINALITY AS asked (id, dispatch, kind, n)
WHERE job.id = ANY (%(id)s::uuid[])
  AND job.id = asked.id AND job.dispatch = asked.dispatch AND job.kind = asked.kind
  AND job.run_at <= now()
  AND (job.expires_at IS NULL OR job.expires_at > now() OR job.started_at IS NOT NULL)
  AND (job.state || '' = 'queued' OR job.state || '' = 'running' AND job.worker = %(worker)s)
  AND (job.keys IS NULL OR (
      SELECT true FROM duly.key_holders AS holder
      WHERE holder.job_id = job.id AND holder.dispatch = job.dispatch
      LIMIT 1
  ))
RETURNING asked.n, job.attempt, job.attempt_limit, job.attempt_budget, job.subject, job.batch_id,
          job.payload, job.checkpoint, job.keys, job.trace, job.attempt_trace,
          extract(epoch FROM clock_timestamp() - greatest(job.created_at, job.run_at))::float8
              AS late_seconds,
          CASE WHEN job.replays > 0 THEN (
              SELECT extract(epoch FROM clock_timestamp() - letter.died_at)::float8
              FROM duly.dead_letters AS letter
              WHERE letter.job_id = job.id
              ORDER BY letter.job_id, letter.dispatch
              LIMIT 1
          ) END AS dead_seconds
"""

# The same for jobs of kinds whose keys have limits. It is a statement of its own because its commit
# waits for the disk: a claim that Postgres lost in a crash would let another job of the key start
# while this one runs.
CLAIM_LIMITED = f"{CLAIM.rstrip()}, true AS is_limited"

# running -> succeeded. The only transition that also runs inside an actor's transaction.
SUCCEED = """
UPDATE duly.jobs AS job
SET state = 'succeeded', finished_at = now(), result = nullif(done.result, '')::jsonb
FROM unnest(%(id)s::uuid[], %(dispatch)s::int[], %(attempt)s::int[], %(result)s::text[])
     WITH ORDINALITY AS done (id, dispatch, attempt, result, n)
WHERE job.id = ANY (%(id)s::uuid[])
  AND job.id = done.id AND job.dispatch = done.dispatch AND job.attempt = done.attempt
  AND job.worker = %(worker)s AND job.state || '' = 'running'
RETURNING done.n
"""

# The same for members of batches, whose end is counted in the same transaction. It is a statement
# of its own so that other jobs do not pay for it.
SUCCEED_MEMBER = f"""
WITH done AS ({SUCCEED.rstrip()}, job.batch_id
), {count_ended("done", "succeeded")}
SELECT n FROM done
"""

# running -> queued after a failed attempt, or cancelled if somebody asked for that meanwhile.
RETRY = f"""
WITH failed AS (
    UPDATE duly.jobs AS job
    SET state = CASE WHEN job.cancel_requested_at IS NULL THEN 'queued' ELSE 'cancelled' END,
        finished_at = CASE WHEN job.cancel_requested_at IS NULL THEN NULL ELSE now() END,
        dispatch = job.dispatch + 1,
        run_at = now() + error.delay_seconds * interval '1 second',
        attempt_trace = coalesce(nullif(error.trace, ''), job.attempt_trace)
    FROM unnest(%(id)s::uuid[], %(dispatch)s::int[], %(attempt)s::int[], %(outcome)s::text[],
                %(error_type)s::text[], %(error_message)s::text[], %(traceback)s::text[],
                %(delay_seconds)s::float8[], %(trace)s::text[])
         WITH ORDINALITY AS error (id, dispatch, attempt, outcome, error_type, error_message,
                                   traceback, delay_seconds, trace, n)
    WHERE job.id = ANY (%(id)s::uuid[])
      AND job.id = error.id AND job.dispatch = error.dispatch AND job.attempt = error.attempt
      AND job.worker = %(worker)s AND job.state || '' = 'running'
    RETURNING job.id, job.state, job.batch_id, job.dispatch, job.kind, job.queue, {LEVEL},
              job.run_at, job.keys, job.position,
              job.worker, job.started_at, error.attempt, error.outcome, error.error_type,
              error.error_message, nullif(error.traceback, '') AS traceback, error.n
), attempt AS (
    INSERT INTO duly.attempts (job_id, attempt, outcome, error_type, error_message, traceback,
                               worker, started_at)
    SELECT id, attempt, outcome, error_type, error_message, traceback, worker, started_at
    FROM failed
), event AS (
    INSERT INTO duly.outbox_events (job_id, dispatch, kind, queue, priority, available_at, keys,
                                    position)
    SELECT id, dispatch, kind, queue, level, run_at, keys, position
    FROM failed WHERE state = 'queued'
    ON CONFLICT (job_id) DO UPDATE
    SET dispatch = excluded.dispatch, available_at = excluded.available_at, failures = 0,
        keys = excluded.keys
), {count_ended("failed", "cancelled", some_stay=True)}
SELECT n, state FROM failed
"""

# running -> queued with the attempt given back: snoozed, or handed back by a worker that stops.
# Cancelled instead, if somebody asked for that meanwhile.
SNOOZE = f"""
WITH snoozed AS (
    UPDATE duly.jobs AS job
    SET state = CASE WHEN job.cancel_requested_at IS NULL THEN 'queued' ELSE 'cancelled' END,
        finished_at = CASE WHEN job.cancel_requested_at IS NULL THEN NULL ELSE now() END,
        dispatch = job.dispatch + 1,
        attempt = job.attempt - 1,
        run_at = now() + nap.delay_seconds * interval '1 second',
        attempt_trace = coalesce(nullif(nap.trace, ''), job.attempt_trace)
    FROM unnest(%(id)s::uuid[], %(dispatch)s::int[], %(attempt)s::int[],
                %(delay_seconds)s::float8[], %(trace)s::text[])
         WITH ORDINALITY AS nap (id, dispatch, attempt, delay_seconds, trace, n)
    WHERE job.id = ANY (%(id)s::uuid[])
      AND job.id = nap.id AND job.dispatch = nap.dispatch AND job.attempt = nap.attempt
      AND job.worker = %(worker)s AND job.state || '' = 'running'
    RETURNING job.id, job.state, job.batch_id, job.dispatch, job.kind, job.queue, {LEVEL},
              job.run_at, job.keys, job.position, nap.n
), event AS (
    INSERT INTO duly.outbox_events (job_id, dispatch, kind, queue, priority, available_at, keys,
                                    position)
    SELECT id, dispatch, kind, queue, level, run_at, keys, position
    FROM snoozed WHERE state = 'queued'
    ON CONFLICT (job_id) DO UPDATE
    SET dispatch = excluded.dispatch, available_at = excluded.available_at, failures = 0,
        keys = excluded.keys
), {count_ended("snoozed", "cancelled", some_stay=True)}
SELECT n, state, kind, queue FROM snoozed
"""

# Worker, before it repeats an effect that may have happened: how many attempts ended uncertain
# since the job was submitted or last replayed. `forgiven` is the last attempt before that.
COUNT_UNCERTAIN = """
SELECT asked.n, (
    SELECT count(*) FROM duly.attempts AS earlier
    WHERE earlier.job_id = asked.id AND earlier.attempt > asked.forgiven
      AND earlier.outcome = 'uncertain'
) AS uncertain
FROM unnest(%(id)s::uuid[], %(forgiven)s::int[]) WITH ORDINALITY AS asked (id, forgiven, n)
"""

# running -> dead after the last attempt, or after an error that is not worth another. Cancelled
# instead, without a dead letter, if somebody asked for that meanwhile: nobody wants the job any
# more.
DIE = f"""
WITH died AS (
    UPDATE duly.jobs AS job
    SET state = CASE WHEN job.cancel_requested_at IS NULL THEN 'dead' ELSE 'cancelled' END,
        finished_at = now(), attempt_trace = coalesce(nullif(error.trace, ''), job.attempt_trace)
    FROM unnest(%(id)s::uuid[], %(dispatch)s::int[], %(attempt)s::int[], %(reason)s::text[],
                %(outcome)s::text[], %(error_type)s::text[], %(error_message)s::text[],
                %(traceback)s::text[], %(trace)s::text[])
         WITH ORDINALITY AS error (id, dispatch, attempt, reason, outcome, error_type,
                                   error_message, traceback, trace, n)
    WHERE job.id = ANY (%(id)s::uuid[])
      AND job.id = error.id AND job.dispatch = error.dispatch AND job.attempt = error.attempt
      AND job.worker = %(worker)s AND job.state || '' = 'running'
    RETURNING job.id, job.state, job.batch_id, job.dispatch, job.kind, job.queue, job.worker,
              job.started_at, error.attempt, error.reason, error.outcome, error.error_type,
              error.error_message, nullif(error.traceback, '') AS traceback, error.n
), attempt AS (
    INSERT INTO duly.attempts (job_id, attempt, outcome, error_type, error_message, traceback,
                               worker, started_at)
    SELECT id, attempt, outcome, error_type, error_message, traceback, worker, started_at
    FROM died
), letter AS (
    INSERT INTO duly.dead_letters (job_id, dispatch, kind, queue, reason, error_type,
                                   error_message)
    SELECT id, dispatch, kind, queue, reason, error_type, error_message
    FROM died WHERE state = 'dead'
), {count_ended("died", "dead", "cancelled")}
SELECT n, state FROM died
"""

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
WHERE job.id = free.id AND job.id = ANY (%(id)s::uuid[])
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
    RETURNING asked.n, job.batch_id
), {count_ended("stopped", "cancelled")}
SELECT n FROM stopped
"""
