"""The outbox: what writes jobs and their events, and what the relay does with the events.

It locks them, then deletes or defers them.
"""

from outbox.store.transitions.levels import LEVEL, UNADMITTED
from outbox.tracing.tracer import MOST_LINKS


def queues_of(name: str, events: str) -> str:
    """A recursive CTE of the queues that have such events, and of a null."""
    return f"""{name} AS (
    (SELECT queue FROM duly.outbox_events WHERE {events} ORDER BY queue LIMIT 1)
    UNION ALL
    SELECT (SELECT event.queue FROM duly.outbox_events AS event
            WHERE {events} AND event.queue > {name}.queue ORDER BY event.queue LIMIT 1)
    FROM {name}
    WHERE {name}.queue IS NOT NULL
)"""


# new -> queued, by a handler or an actor. Commits or rolls back with the caller's transaction. It
# returns no rows: the caller knows what it asked for, and reading them would cost it more than the
# statement.
SUBMIT = """
WITH job AS (
    INSERT INTO duly.jobs (id, kind, queue, priority, payload, run_at, attempt_limit,
                           attempt_budget, subject, parent_id, submitted_by, expires_at, trace)
    VALUES (%(id)s::uuid, %(kind)s, %(queue)s, %(priority)s::smallint, %(payload)s::text::jsonb,
            coalesce(%(run_at)s::timestamptz, now()), %(budget)s::int, %(budget)s::int,
            %(subject)s, %(parent_id)s::uuid, %(submitted_by)s, %(expires_at)s::timestamptz,
            %(trace)s)
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
                           attempt_budget, subject, parent_id, submitted_by, expires_at, trace)
    SELECT id, kind, queue, priority, payload::jsonb, coalesce(run_at, now()), budget, budget,
           subject, parent_id, submitted_by, expires_at, trace
    FROM json_to_recordset(%(jobs)s::json)
         AS new (id uuid, kind text, queue text, priority smallint, payload text,
                 run_at timestamptz, budget int, subject text, parent_id uuid, submitted_by text,
                 expires_at timestamptz, trace text)
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
                           position, trace)
    SELECT id, kind, queue, priority, payload::jsonb, coalesce(run_at, now()), budget, budget,
           subject, parent_id, submitted_by, expires_at, keys, {NEXT_POSITION}, trace
    FROM json_to_recordset(%(jobs)s::json)
         AS new (id uuid, kind text, queue text, priority smallint, payload text,
                 run_at timestamptz, budget int, subject text, parent_id uuid, submitted_by text,
                 expires_at timestamptz, keys text[], is_ordered boolean, trace text)
    RETURNING id, dispatch, kind, queue, priority, run_at, keys, position
)
INSERT INTO duly.outbox_events (job_id, dispatch, kind, queue, priority, available_at, keys,
                                position)
SELECT id, dispatch, kind, queue, priority, run_at, keys, position FROM job
"""

# Relay: the queues that have events, publications that may be lost, or workers, including queues
# that no setting names; and those that are paused, whether they have any of it or not. A loose
# index scan: one index probe per queue, however long the backlog.
QUEUES_IN_USE = f"""
WITH RECURSIVE {queues_of("seen", "keys IS NULL")}, {queues_of("waiting", "keys IS NOT NULL")}
SELECT queue, paused.since IS NOT NULL AS is_paused
FROM (
    SELECT queue FROM seen WHERE queue IS NOT NULL
    UNION
    SELECT queue FROM waiting WHERE queue IS NOT NULL
    UNION
    SELECT queue FROM duly.publications
    UNION
    SELECT jsonb_array_elements_text(queues) FROM duly.workers
) AS used
FULL JOIN duly.paused_queues AS paused USING (queue)
"""

# Relay: locks as many events as each queue has capacity for, by priority, then oldest first. In a
# priority, it takes replayed jobs first, up to the number in `replays`, then fresh ones. `replays`
# has three numbers per queue, one for each priority.
# Events with keys wait for ADMIT. Each level is its own index range, so rows scheduled for later
# are never scanned. Nor are rows
# before the scan cursor: `reached` has six timestamps per queue, one for each level (see
# outbox/relay/scan_cursor.py).
# A timestamp that Python cannot represent, such as '-infinity', is returned as the epoch.
LOCK_EVENTS = """
SELECT event.job_id, event.dispatch, event.kind, event.queue, event.level,
       greatest(event.available_at, 'epoch') AS available_at
FROM unnest(%(queues)s::text[], %(rooms)s::int[]) WITH ORDINALITY AS wanted (queue, room, n)
CROSS JOIN LATERAL (
    SELECT due.*
    FROM (VALUES (3::smallint, (%(replays)s::int[])[wanted.n * 3 - 2]), (0, wanted.room),
                 (4, (%(replays)s::int[])[wanted.n * 3 - 1]), (1, wanted.room),
                 (5, (%(replays)s::int[])[wanted.n * 3]), (2, wanted.room)) AS level (level, most)
    CROSS JOIN LATERAL (
        SELECT job_id::text, dispatch, kind, queue, priority AS level, available_at
        FROM duly.outbox_events
        WHERE queue = wanted.queue AND priority = level.level AND keys IS NULL
          AND available_at >= (%(reached)s::timestamptz[])[(wanted.n - 1) * 6 + level.level + 1]
          AND available_at <= now()
        ORDER BY available_at
        LIMIT level.most
        FOR UPDATE SKIP LOCKED
    ) AS due
    LIMIT wanted.room
) AS event
"""

# Relay: deletes events whose messages the broker has confirmed. One row per queue in the batch
# remembers which they were, until they have been claimed.
DELETE_EVENTS = """
WITH sent AS (
    DELETE FROM duly.outbox_events AS event
    USING unnest(%(job_id)s::uuid[], %(dispatch)s::int[]) AS sent (job_id, dispatch)
    WHERE event.job_id = ANY (%(job_id)s::uuid[])
      AND event.job_id = sent.job_id AND event.dispatch = sent.dispatch
    RETURNING event.queue, event.job_id, event.dispatch
)
INSERT INTO duly.publications (queue, job_ids, dispatches)
SELECT queue, array_agg(job_id), array_agg(dispatch) FROM sent GROUP BY queue
"""

# Relay: settles publications older than `patience_seconds`. One whose jobs have all been claimed is
# deleted. An unclaimed job is lost if the broker's queue is empty, or if a job of a later
# publication has been claimed, since queues are first in, first out. A lost job's event returns to
# the outbox with the same dispatch. If its message is not lost after all, but waits inside a busy
# worker, whichever message is read first claims the job, and the other is dropped.
# This statement may be slow, and write an event for a job that has moved on meanwhile. An event of
# a later dispatch replaces that one; an event of an earlier dispatch never does.
REDISPATCH_LOST = f"""
WITH due AS (
    SELECT oldest.*, asked.depth
    FROM unnest(%(queues)s::text[], %(depths)s::int[]) AS asked (queue, depth)
    CROSS JOIN LATERAL (
        SELECT id, queue, published_at, job_ids, dispatches
        FROM duly.publications
        WHERE queue = asked.queue
          AND published_at < now() - %(patience_seconds)s * interval '1 second'
        ORDER BY id
        LIMIT 50
        FOR UPDATE SKIP LOCKED
    ) AS oldest
), unclaimed AS (
    SELECT due.id AS publication_id, job.id, job.dispatch, job.kind, job.queue, {LEVEL},
           {UNADMITTED}, job.position
    FROM due
    CROSS JOIN unnest(due.job_ids, due.dispatches) AS sent (job_id, dispatch)
    JOIN duly.jobs AS job
      ON job.id = sent.job_id AND job.dispatch = sent.dispatch AND job.state || '' = 'queued'
), overtaken AS (
    SELECT due.id
    FROM due
    WHERE due.depth = 0 OR EXISTS (
        SELECT
        FROM duly.publications AS later
        CROSS JOIN unnest(later.job_ids, later.dispatches) AS sent (job_id, dispatch)
        JOIN duly.jobs AS job ON job.id = sent.job_id
        WHERE later.queue = due.queue
          AND later.published_at > due.published_at + interval '1 second'
          AND job.started_at >= later.published_at
    )
), settled AS (
    DELETE FROM duly.publications AS publication
    USING due
    WHERE publication.id = due.id
      AND (due.id IN (SELECT id FROM overtaken)
           OR due.id NOT IN (SELECT publication_id FROM unclaimed))
)
INSERT INTO duly.outbox_events (job_id, dispatch, kind, queue, priority, available_at, keys,
                                position)
SELECT DISTINCT id, dispatch, kind, queue, level, now(), keys, position
FROM unclaimed
WHERE publication_id IN (SELECT id FROM overtaken)
ORDER BY id
ON CONFLICT (job_id) DO UPDATE
SET dispatch = excluded.dispatch, available_at = excluded.available_at, failures = 0,
    keys = excluded.keys
WHERE outbox_events.dispatch < excluded.dispatch
RETURNING job_id, queue
"""

# Relay: defers events that the broker returned or refused. Each backs off alone, 1 s to 5 min.
DEFER_EVENTS = """
UPDATE duly.outbox_events AS event
SET failures = least(failures + 1, 1000),
    available_at = now() + least(power(2, least(failures, 9)), 300) * interval '1 second'
FROM unnest(%(job_id)s::uuid[], %(dispatch)s::int[]) AS refused (job_id, dispatch)
WHERE event.job_id = ANY (%(job_id)s::uuid[])
  AND event.job_id = refused.job_id AND event.dispatch = refused.dispatch
RETURNING event.job_id, event.dispatch, event.failures
"""

# Relay, when it traces: where some of these jobs were submitted.
TRACES_OF = f"""
SELECT trace FROM duly.jobs
WHERE id = ANY (%(job_id)s::uuid[]) AND trace IS NOT NULL
LIMIT {MOST_LINKS}
"""
