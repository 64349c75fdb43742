"""The workers' heartbeats, and the rescue of jobs whose worker is silent."""

from outbox.store.transitions.levels import LEVEL
from outbox.store.transitions.members import count_ended

# running, its worker silent or gone -> queued, or dead if its attempts are used up. `silent` must
# come from a process that has watched the heartbeats: judged by the clock, every worker would be
# silent once the clock has been stepped. From the second attempt on, the job waits before it runs
# again (1 s, then 3 s, up to 5 min), so that a job that kills its worker does not kill them all at
# once. If `only` is not null, only these jobs are rescued.
RESCUE = f"""
WITH orphan AS (
    SELECT job.id
    FROM duly.jobs AS job
    LEFT JOIN duly.workers AS worker
           ON worker.name = job.worker AND worker.name <> ALL (%(silent)s::text[])
    WHERE job.state = 'running' AND worker.name IS NULL
      AND (%(only)s::uuid[] IS NULL OR job.id = ANY (%(only)s::uuid[]))
    LIMIT 1000
    FOR UPDATE OF job SKIP LOCKED
), rescued AS (
    UPDATE duly.jobs AS job
    SET state = CASE WHEN job.cancel_requested_at IS NOT NULL THEN 'cancelled'
                     WHEN job.attempt < job.attempt_limit THEN 'queued'
                     ELSE 'dead' END,
        dispatch = job.dispatch + CASE WHEN job.attempt < job.attempt_limit THEN 1 ELSE 0 END,
        run_at = now() + least(
            power(2, least(job.attempt + job.attempt_budget - job.attempt_limit - 1, 9)) - 1, 300
        ) * interval '1 second',
        finished_at = CASE WHEN job.cancel_requested_at IS NULL AND job.attempt < job.attempt_limit
                           THEN NULL ELSE now() END
    FROM orphan
    WHERE job.id = orphan.id
    RETURNING job.id, job.state, job.batch_id, job.dispatch, job.attempt, job.kind, job.queue,
              {LEVEL},
              job.run_at, job.keys, job.position, job.worker, job.started_at,
              concat('its worker ', job.worker, ' stopped without a word') AS error_message
), attempt AS (
    INSERT INTO duly.attempts (job_id, attempt, outcome, error_type, error_message, worker,
                               started_at)
    SELECT id, attempt, 'crashed', 'WorkerGone', error_message, worker, started_at FROM rescued
), event AS (
    INSERT INTO duly.outbox_events (job_id, dispatch, kind, queue, priority, available_at, keys,
                                    position)
    SELECT id, dispatch, kind, queue, level, run_at, keys, position
    FROM rescued WHERE state = 'queued'
    ON CONFLICT (job_id) DO UPDATE
    SET dispatch = excluded.dispatch, available_at = excluded.available_at, failures = 0,
        keys = excluded.keys
), letter AS (
    INSERT INTO duly.dead_letters (job_id, dispatch, kind, queue, reason, error_type,
                                   error_message)
    SELECT id, dispatch, kind, queue, 'crashed', 'WorkerGone', error_message
    FROM rescued WHERE state = 'dead'
), {count_ended("rescued", "dead", "cancelled", some_stay=True)}
SELECT id, kind, queue, worker, attempt, state, error_message FROM rescued
"""

# Worker: sends a heartbeat. It waits for neither disk nor standby: while it waits it seems silent.
RECORD_HEARTBEAT = """
INSERT INTO duly.workers (name, queues, threads, tasks, code)
VALUES (%(name)s, %(queues)s::jsonb, %(threads)s, %(tasks)s, %(code)s::jsonb)
ON CONFLICT (name) DO UPDATE SET heartbeat_at = now()
RETURNING set_config('synchronous_commit', 'off', true)
"""

# Worker: signs off when it stops.
DEREGISTER_WORKER = """
DELETE FROM duly.workers WHERE name = %(name)s
RETURNING set_config('synchronous_commit', 'off', true)
"""

# Relay: when did each worker last send a heartbeat?
READ_HEARTBEATS = "SELECT name, heartbeat_at FROM duly.workers"

# Relay: deletes workers that have been silent for over an hour.
PRUNE_WORKERS = """
DELETE FROM duly.workers
WHERE name = ANY (%(silent)s::text[]) AND heartbeat_at < now() - interval '1 hour'
"""
