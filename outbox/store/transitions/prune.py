"""Deletes rows that are no longer needed."""

# Relay: deletes jobs that succeeded or were cancelled longer ago than the retention, with their
# attempts. A job that has a dead letter, open or closed, stays: see PRUNE_LETTERS.
# A member of a batch stays until the batch has settled and its callbacks have ended. A job with a
# key of a unique kind stays until PRUNE_UNIQUE_KEYS has deleted that.
# One call scans a thousand jobs by id. Ids are UUIDv7, which begin with the time of creation, and a
# job created within the retention cannot have ended before it. The statement returns how far it
# came, so that the next call scans neither what stays nor the index entries of what is gone.
# An index on finished_at would find these jobs too. But each success would have to write an entry
# to it, and an update that sets an indexed column can never be HOT.
_IS_NEEDED_BY_NONE = """NOT EXISTS (SELECT FROM duly.unique_keys WHERE job_id = jobs.id)
      AND (batch_id IS NULL OR NOT EXISTS (
          SELECT FROM duly.batches AS batch
          WHERE batch.id = jobs.batch_id
            AND (batch.settled_at IS NULL OR EXISTS (
                SELECT FROM duly.batch_callbacks
                JOIN duly.jobs AS callback ON callback.id = batch_callbacks.job_id
                WHERE batch_callbacks.batch_id = batch.id AND callback.finished_at IS NULL
            ))
      ))"""

PRUNE = f"""
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
      AND {_IS_NEEDED_BY_NONE}
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

# Relay: deletes dead letters that were closed longer ago than the retention, with their dead jobs
# and the attempts of these. All letters of a job go at once, when the last one may: its history
# stays whole until then. A replayed job that has succeeded or was cancelled is for PRUNE from then
# on. A job that has not ended stays, with its letters; so does what PRUNE keeps for others.
# It walks the letters in the order in which they were closed, as PRUNE walks jobs.
PRUNE_LETTERS = f"""
WITH walked AS (
    SELECT closed_at, id, job_id FROM duly.dead_letters
    WHERE closed_at < now() - %(retention)s AND (closed_at, id) > (%(closed_at)s, %(id)s)
    ORDER BY closed_at, id
    LIMIT 1000
), ended AS (
    SELECT id, state FROM duly.jobs
    WHERE id IN (SELECT job_id FROM walked) AND finished_at < now() - %(retention)s
      AND NOT EXISTS (
          SELECT FROM duly.dead_letters AS letter
          WHERE letter.job_id = jobs.id
            AND (letter.closed_at IS NULL OR letter.closed_at >= now() - %(retention)s)
      )
      AND {_IS_NEEDED_BY_NONE}
    FOR UPDATE SKIP LOCKED
), dead AS (
    SELECT id FROM ended WHERE state = 'dead'
), jobless AS (
    SELECT id FROM duly.dead_letters AS letter
    WHERE id IN (SELECT id FROM walked)
      AND NOT EXISTS (SELECT FROM duly.jobs WHERE jobs.id = letter.job_id)
    FOR UPDATE SKIP LOCKED
), attempt AS (
    DELETE FROM duly.attempts WHERE job_id = ANY (ARRAY(SELECT id FROM dead))
), refusal AS (
    DELETE FROM duly.refusals WHERE job_id = ANY (ARRAY(SELECT id FROM dead))
), job AS (
    DELETE FROM duly.jobs WHERE id = ANY (ARRAY(SELECT id FROM dead))
), pruned AS (
    DELETE FROM duly.dead_letters
    WHERE job_id = ANY (ARRAY(SELECT id FROM ended)) OR id = ANY (ARRAY(SELECT id FROM jobless))
    RETURNING id
)
SELECT closed_at, id, (SELECT count(*) FROM pruned) AS pruned
FROM walked
ORDER BY closed_at DESC, id DESC
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
