"""The keys of unique jobs: who holds one, who takes it over, and when it is free.

A row of unique_keys says which job holds a key. Whoever submits a job of the key locks the row
until the end of its transaction. Jobs and rows are written in one transaction, and a job that a row
names is not pruned. So a job that a statement does not see, although a row names it, was committed
after the statement began: it holds its key.
"""

from functools import reduce

from outbox.store.transitions.levels import LEVEL
from outbox.store.transitions.outbox import NEXT_POSITION
from outbox.store.transitions.run import CLAIM, CLAIM_LIMITED

_WILL_NOT_RUN = """job.state || '' = 'cancelled'
            OR job.finished_at IS NULL AND job.cancel_requested_at IS NOT NULL
            OR job.state || '' = 'queued' AND job.started_at IS NULL AND job.expires_at <= now()"""
_HAS_LET_GO = f"""
        job.id = held.job_id AND (
            {_WILL_NOT_RUN}
            OR held.until = 'started'
               AND (job.state || '' <> 'queued' OR job.started_at IS NOT NULL)
            OR held.until = 'ended' AND job.state || '' NOT IN ('queued', 'running')
        )"""
"""Whether the job no longer holds the key, apart from a period that is over."""
_IS_OVER = "held.taken_at + held.period <= now()"

_ASKED = """asked AS MATERIALIZED (
    SELECT *
    FROM json_to_recordset(%(jobs)s::json)
         AS asked (id uuid, kind text, queue text, priority smallint, payload text,
                   run_at timestamptz, budget int, subject text, parent_id uuid,
                   submitted_by text, expires_at timestamptz, unique_key text, until text,
                   within_seconds float8, debounce_seconds float8, cap_seconds float8,
                   keys text[], is_ordered boolean, trace text)
)"""

# new -> queued for each key that is free, by a handler or an actor: at most one job of a key in one
# statement. Returns which job holds each key now: the new one, or the one that held it before. The
# keys are locked in order, so that two transactions wait for each other and do not deadlock. A row
# that an unfinished transaction has written is waited for.
SUBMIT_UNIQUE = f"""
WITH {_ASKED}, held AS (
    INSERT INTO duly.unique_keys AS held (kind, key, job_id, until, period)
    SELECT kind, unique_key, id, until, within_seconds * interval '1 second'
    FROM asked
    ORDER BY kind, unique_key
    ON CONFLICT (kind, key) DO UPDATE
    SET (job_id, until, period, taken_at) = (
        SELECT CASE WHEN is_free THEN excluded.job_id ELSE held.job_id END,
               CASE WHEN is_free THEN excluded.until ELSE held.until END,
               CASE WHEN is_free THEN excluded.period ELSE held.period END,
               CASE WHEN is_free THEN now() ELSE held.taken_at END
        FROM (SELECT coalesce({_IS_OVER}, false) OR EXISTS (
            SELECT FROM duly.jobs AS job WHERE {_HAS_LET_GO}
        ) AS is_free) AS judged
    )
    RETURNING kind, key, job_id
), job AS (
    INSERT INTO duly.jobs (id, kind, queue, priority, payload, run_at, attempt_limit,
                           attempt_budget, subject, parent_id, submitted_by, expires_at, keys,
                           position, trace)
    SELECT id, asked.kind, queue, priority, payload::jsonb,
           greatest(coalesce(run_at, now()), now() + debounce_seconds * interval '1 second'),
           budget, budget, subject, parent_id, submitted_by, expires_at, keys, {NEXT_POSITION},
           trace
    FROM asked JOIN held ON held.job_id = asked.id
    RETURNING id, dispatch, kind, queue, priority, run_at, keys, position
), event AS (
    INSERT INTO duly.outbox_events (job_id, dispatch, kind, queue, priority, available_at, keys,
                                    position)
    SELECT id, dispatch, kind, queue, priority, run_at, keys, position FROM job
)
SELECT kind, key, job_id::text AS job_id FROM held
"""

# queued -> queued, with the newest payload and a later time, for the debounced jobs that
# SUBMIT_UNIQUE has just found holding their keys. It is a statement of its own because it has to
# see a job that was committed while SUBMIT_UNIQUE waited for it. The job cannot start meanwhile:
# its key is locked. Under another first key it comes last in the order of that: it was not among
# its jobs before.
DEBOUNCE = f"""
WITH {_ASKED}, moved AS (
    UPDATE duly.jobs AS job
    SET payload = asked.payload::jsonb, expires_at = asked.expires_at, keys = asked.keys,
        position = CASE WHEN job.keys[1] = asked.keys[1] THEN job.position
                        ELSE {NEXT_POSITION} END,
        dispatch = job.dispatch + 1,
        run_at = greatest(job.run_at, least(
            greatest(asked.run_at, now() + asked.debounce_seconds * interval '1 second'),
            held.taken_at + asked.cap_seconds * interval '1 second'
        ))
    FROM asked JOIN duly.unique_keys AS held
      ON held.kind = asked.kind AND held.key = asked.unique_key
    WHERE asked.debounce_seconds IS NOT NULL
      AND job.id = held.job_id AND job.id <> asked.id AND job.state || '' = 'queued'
    RETURNING job.id, job.dispatch, job.kind, job.queue, {LEVEL}, job.run_at, job.keys, job.position
)
INSERT INTO duly.outbox_events (job_id, dispatch, kind, queue, priority, available_at, keys,
                                position)
SELECT id, dispatch, kind, queue, level, run_at, keys, position FROM moved
ON CONFLICT (job_id) DO UPDATE
SET dispatch = excluded.dispatch, available_at = excluded.available_at, failures = 0,
    keys = excluded.keys, position = excluded.position
"""


def unique(claim: str, before: str = "", after: str = "") -> str:
    """This claim for kinds whose jobs hold their key until they start.

    `before` are further parts of the statement that come before the claim, and know who is `busy`;
    `after` those that come after it, and know what is `claimed`.
    """
    if_not_busy = claim.strip().replace(
        "\nRETURNING", "\n  AND job.id NOT IN (SELECT job_id FROM busy)\nRETURNING job.id,"
    )
    parts = {"<claim>": if_not_busy, "<before>": before, "<after>": after}
    return reduce(lambda text, part: text.replace(*part), parts.items(), _CLAIM)


# CLAIM for kinds whose jobs hold their key until they start: starting a job gives its key back. A
# transaction that has locked the key has become this job, and must have committed before the job
# starts. CLAIM_UNIQUE does not wait for it: the job goes back to the outbox for 100 ms, without an
# attempt. From then on it counts as started: its key can be taken over, or it might be locked
# again and again. A job row that is locked, too, is left to the transaction, which debounces it.
_CLAIM = f"""
WITH held AS MATERIALIZED (
    SELECT job_id FROM duly.unique_keys
    WHERE job_id = ANY (%(id)s::uuid[]) AND until = 'started'
), free AS MATERIALIZED (
    SELECT job_id FROM duly.unique_keys
    WHERE job_id = ANY (%(id)s::uuid[])
    FOR UPDATE SKIP LOCKED
), busy AS MATERIALIZED (
    SELECT job_id FROM held WHERE job_id NOT IN (SELECT job_id FROM free)
), <before>claimed AS (
    <claim>
), given_back AS (
    DELETE FROM duly.unique_keys AS held
    USING claimed
    WHERE held.job_id = claimed.id AND held.job_id = ANY (%(id)s::uuid[])
      AND held.until = 'started'
), postponed AS (
    SELECT job.id
    FROM busy
    JOIN unnest(%(id)s::uuid[], %(dispatch)s::int[], %(kind)s::text[])
         AS asked (job_id, dispatch, kind) USING (job_id)
    JOIN duly.jobs AS job
      ON job.id = asked.job_id AND job.dispatch = asked.dispatch AND job.kind = asked.kind
    WHERE job.id = ANY (%(id)s::uuid[]) AND job.run_at <= now() AND job.state || '' = 'queued'
      AND (job.expires_at IS NULL OR job.expires_at > now() OR job.started_at IS NOT NULL)
    FOR UPDATE OF job SKIP LOCKED
), back AS (
    UPDATE duly.jobs AS job
    SET dispatch = job.dispatch + 1, started_at = coalesce(job.started_at, now())
    FROM postponed
    WHERE job.id = postponed.id AND job.id = ANY (%(id)s::uuid[])
    RETURNING job.id, job.dispatch, job.kind, job.queue, {LEVEL}, job.keys, job.position
), event AS (
    INSERT INTO duly.outbox_events (job_id, dispatch, kind, queue, priority, available_at, keys,
                                    position)
    SELECT id, dispatch, kind, queue, level, now() + interval '100 ms', keys, position FROM back
    ON CONFLICT (job_id) DO UPDATE
    SET dispatch = excluded.dispatch, available_at = excluded.available_at, failures = 0,
        keys = excluded.keys
)<after>
SELECT * FROM claimed
"""
CLAIM_UNIQUE = unique(CLAIM)
CLAIM_UNIQUE_LIMITED = unique(CLAIM_LIMITED)

# Relay: deletes the keys that nobody holds any more, in the order of their jobs. The key of a dead
# job stays while its letter is open: a replay makes the job its holder again, unless another has
# taken it over.
PRUNE_UNIQUE_KEYS = f"""
WITH walked AS (
    SELECT kind, key, job_id FROM duly.unique_keys
    WHERE job_id > %(after)s ORDER BY job_id LIMIT 1000
), past AS (
    SELECT held.kind, held.key
    FROM duly.unique_keys AS held
    WHERE held.job_id IN (SELECT job_id FROM walked)
      AND (
        {_IS_OVER}
        OR EXISTS (
            SELECT FROM duly.jobs AS job
            WHERE {_HAS_LET_GO}
              AND (job.state || '' <> 'dead' OR NOT EXISTS (
                  SELECT FROM duly.dead_letters AS letter
                  WHERE letter.job_id = job.id AND letter.closed_at IS NULL
              ))
        )
        OR NOT EXISTS (SELECT FROM duly.jobs WHERE jobs.id = held.job_id)
      )
    FOR UPDATE SKIP LOCKED
), pruned AS (
    DELETE FROM duly.unique_keys AS held USING past
    WHERE held.kind = past.kind AND held.key = past.key
    RETURNING held.job_id
)
SELECT max(job_id::text)::uuid AS walked_to, (SELECT count(*) FROM pruned) AS pruned
FROM walked
HAVING count(*) > 0
"""
