"""Submits jobs in the caller's transaction."""

# new -> queued, by a handler or an actor. Commits or rolls back with the caller's transaction. It
# returns no rows: the caller knows what it asked for, and reading them would cost it more than the
# statement.
SUBMIT = """
WITH job AS (
    INSERT INTO duly.jobs (id, kind, queue, priority, payload, run_at, attempt_limit,
                           attempt_budget, subject, parent_id, submitted_by, expires_at)
    VALUES (%(id)s::uuid, %(kind)s, %(queue)s, %(priority)s::smallint, %(payload)s::text::jsonb,
            coalesce(%(run_at)s::timestamptz, now()), %(budget)s::int, %(budget)s::int,
            %(subject)s, %(parent_id)s::uuid, %(submitted_by)s, %(expires_at)s::timestamptz)
    RETURNING id, dispatch, kind, queue, priority, run_at
)
INSERT INTO duly.outbox_events (job_id, dispatch, kind, queue, priority, available_at)
SELECT id, dispatch, kind, queue, priority, run_at FROM job
"""

# The same for any number of jobs, as one JSON text. This costs the caller a quarter less than an
# array for each column. For a single job it would cost Postgres a fifth more than SUBMIT.
SUBMIT_ALL = """
WITH job AS (
    INSERT INTO duly.jobs (id, kind, queue, priority, payload, run_at, attempt_limit,
                           attempt_budget, subject, parent_id, submitted_by, expires_at)
    SELECT id, kind, queue, priority, payload::jsonb, coalesce(run_at, now()), budget, budget,
           subject, parent_id, submitted_by, expires_at
    FROM json_to_recordset(%(jobs)s::json)
         AS new (id uuid, kind text, queue text, priority smallint, payload text,
                 run_at timestamptz, budget int, subject text, parent_id uuid, submitted_by text,
                 expires_at timestamptz)
    RETURNING id, dispatch, kind, queue, priority, run_at
)
INSERT INTO duly.outbox_events (job_id, dispatch, kind, queue, priority, available_at)
SELECT id, dispatch, kind, queue, priority, run_at FROM job
"""

NEXT_POSITION = "CASE WHEN is_ordered THEN nextval('duly.positions') END"
"""Where a job is in the order of its first key, if that is ordered.

A job that is submitted after another had committed gets the higher position. Neither clocks nor ids
promise that.
"""

# The same where some of the jobs have keys. Their events wait for ADMIT.
SUBMIT_KEYED = f"""
WITH job AS (
    INSERT INTO duly.jobs (id, kind, queue, priority, payload, run_at, attempt_limit,
                           attempt_budget, subject, parent_id, submitted_by, expires_at, keys,
                           position)
    SELECT id, kind, queue, priority, payload::jsonb, coalesce(run_at, now()), budget, budget,
           subject, parent_id, submitted_by, expires_at, keys, {NEXT_POSITION}
    FROM json_to_recordset(%(jobs)s::json)
         AS new (id uuid, kind text, queue text, priority smallint, payload text,
                 run_at timestamptz, budget int, subject text, parent_id uuid, submitted_by text,
                 expires_at timestamptz, keys text[], is_ordered boolean)
    RETURNING id, dispatch, kind, queue, priority, run_at, keys, position
)
INSERT INTO duly.outbox_events (job_id, dispatch, kind, queue, priority, available_at, keys,
                                position)
SELECT id, dispatch, kind, queue, priority, run_at, keys, position FROM job
"""
