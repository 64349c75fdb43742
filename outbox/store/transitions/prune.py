"""Deletes rows that are no longer needed."""

# Relay: deletes jobs that succeeded or were cancelled longer ago than the retention, with their
# attempts. A job that ever had a dead letter, open or closed, keeps its history for ever.
# A member of a batch stays until the batch has settled and its callbacks have ended. A job with a
# key of a unique kind stays until PRUNE_UNIQUE_KEYS has deleted that.
# One call scans a thousand jobs by id. Ids are UUIDv7, which begin with the time of creation, and a
# job created within the retention cannot have ended before it. The statement returns how far it
# came, so that the next call scans neither what stays nor the index entries of what is gone.
# An index on finished_at would find these jobs too. But each success would have to write an entry
# to it, and an update that sets an indexed column can never be HOT.
PRUNE = """
WITH retained AS (
    SELECT (lpad(to_hex((extract(epoch FROM now() - %(retention)s) * 1000)::bigint), 12, '0')
            || '00000000000000000000')::uuid AS first_id
), walked AS (
    SELECT id FROM duly.jobs
    WHERE id > %(after)s AND id < (SELECT first_id FROM retained)
    ORDER BY id
    LIMIT 1000
), ended AS (
    SELECT id FROM duly.jobs
    WHERE id IN (SELECT id FROM walked)
      AND state IN ('succeeded', 'cancelled') AND finished_at < now() - %(retention)s
      AND NOT EXISTS (SELECT FROM duly.dead_letters WHERE job_id = jobs.id)
      AND NOT EXISTS (SELECT FROM duly.unique_keys WHERE job_id = jobs.id)
      AND (batch_id IS NULL OR NOT EXISTS (
          SELECT FROM duly.batches AS batch
          WHERE batch.id = jobs.batch_id
            AND (batch.settled_at IS NULL OR EXISTS (
                SELECT FROM duly.batch_callbacks
                JOIN duly.jobs AS callback ON callback.id = batch_callbacks.job_id
                WHERE batch_callbacks.batch_id = batch.id AND callback.finished_at IS NULL
            ))
      ))
    FOR UPDATE SKIP LOCKED
), attempt AS (
    DELETE FROM duly.attempts WHERE job_id = ANY (ARRAY(SELECT id FROM ended))
), refusal AS (
    DELETE FROM duly.refusals WHERE job_id = ANY (ARRAY(SELECT id FROM ended))
), pruned AS (
    DELETE FROM duly.jobs AS job
    WHERE job.id = ANY (ARRAY(SELECT id FROM ended))
    RETURNING job.id
)
SELECT id AS walked_to, (SELECT count(*) FROM pruned) AS pruned
FROM walked
ORDER BY id DESC
LIMIT 1
"""

# Relay: deletes batches that settled longer ago than the retention, once their jobs and the batches
# in them are gone. It walks them as PRUNE walks jobs.
PRUNE_BATCHES = """
WITH walked AS (
    SELECT id, settled_at FROM duly.batches WHERE id > %(after)s ORDER BY id LIMIT 1000
), ended AS (
    SELECT id FROM walked
    WHERE settled_at < now() - %(retention)s
      AND NOT EXISTS (SELECT FROM duly.jobs WHERE jobs.batch_id = walked.id)
      AND NOT EXISTS (SELECT FROM duly.batches AS child WHERE child.parent_id = walked.id)
      AND NOT EXISTS (SELECT FROM duly.batch_callbacks
                      JOIN duly.jobs AS callback ON callback.id = batch_callbacks.job_id
                      WHERE batch_callbacks.batch_id = walked.id)
), callback AS (
    DELETE FROM duly.batch_callbacks WHERE batch_id IN (SELECT id FROM ended)
), pruned AS (
    DELETE FROM duly.batches AS batch WHERE batch.id IN (SELECT id FROM ended)
    RETURNING batch.id
)
SELECT id AS walked_to, (SELECT count(*) FROM pruned) AS pruned
FROM walked
ORDER BY id DESC
LIMIT 1
"""

# Relay: deletes refusals that no longer count, because the job has moved on or ended. It skips rows
# that a worker is writing, so neither waits for the other.
PRUNE_REFUSALS = """
WITH past AS (
    SELECT refusal.job_id
    FROM duly.refusals AS refusal
    JOIN duly.jobs AS job ON job.id = refusal.job_id
    WHERE job.dispatch > refusal.dispatch OR job.finished_at IS NOT NULL
    FOR UPDATE OF refusal SKIP LOCKED
)
DELETE FROM duly.refusals WHERE job_id = ANY (ARRAY(SELECT job_id FROM past))
"""
