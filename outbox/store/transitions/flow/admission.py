"""The admission of events with keys, by relays: at most so many jobs of a key run at once.

An event with keys is not published. ADMIT takes the keys from it, and adds a holder for each of
them. CLAIM begins no job with keys without a holder of its dispatch, so every running job has one.
Holders are only added under an advisory lock of each key that has a limit, after the key's holders
were counted by a statement that began once the lock was held. So no key ever has more than its
limit. A holder counts until its job has ended or has another dispatch; no statement that ends a job
has to say so.
"""

from outbox.store.transitions.outbox import queues_of

COUNTS = """job.dispatch = holder.dispatch AND (
        job.state || '' IN ('queued', 'running')
        OR job.state || '' = 'dead' AND job.kind = ANY (%(held)s::text[])
        AND job.keys[1] = holder.key AND coalesce((
            SELECT letter.closed_at IS NULL FROM duly.dead_letters AS letter
            WHERE letter.job_id = job.id AND letter.dispatch = job.dispatch
        ), false)
    )"""
"""Whether a holder counts. `held` are the kinds whose dead jobs hold their keys."""

# Relay: the queues that have events with keys, and are not paused.
KEYED_QUEUES = f"""
WITH RECURSIVE {queues_of("waiting", "keys IS NOT NULL")}
SELECT queue FROM waiting
WHERE queue IS NOT NULL AND queue NOT IN (SELECT queue FROM duly.paused_queues)
"""

# Relay: deletes holders that no longer count, and tells how long their jobs ran, by their first
# keys. It waits for no other relay. A holder of a later dispatch than the job's is newer than what
# this statement sees of the job: another relay has admitted it meanwhile, and it may run by now.
SWEEP_HOLDERS = f"""
WITH past AS (
    SELECT holder.job_id, holder.key, job.queue, job.priority,
           job.keys[1] = holder.key AND job.started_at IS NOT NULL AS is_first,
           extract(epoch FROM coalesce(job.finished_at, now()) - job.started_at)::float8 AS seconds
    FROM duly.key_holders AS holder
    LEFT JOIN duly.jobs AS job ON job.id = holder.job_id
    WHERE job.id IS NULL OR holder.dispatch <= job.dispatch AND NOT ({COUNTS})
    FOR UPDATE OF holder SKIP LOCKED
), swept AS (
    DELETE FROM duly.key_holders AS holder USING past
    WHERE holder.job_id = past.job_id AND holder.key = past.key
)
SELECT key, queue, priority, seconds FROM past WHERE is_first
"""

# Relay: for each key and queue, how many jobs hold the key. Of those whose first key it is, how
# many have not begun, how many of these were admitted 300 ms ago or earlier, and how many run.
HOLDERS = f"""
SELECT holder.key, job.queue, count(*) AS held,
       count(*) FILTER (WHERE job.state || '' = 'queued' AND job.keys[1] = holder.key) AS unclaimed,
       count(*) FILTER (WHERE job.state || '' = 'queued' AND job.keys[1] = holder.key
                        AND holder.admitted_at < now() - interval '300 ms') AS late,
       count(*) FILTER (WHERE job.state || '' = 'running' AND job.keys[1] = holder.key) AS running
FROM duly.key_holders AS holder
JOIN duly.jobs AS job ON job.id = holder.job_id
WHERE {COUNTS}
GROUP BY holder.key, job.queue
"""

_NEXT = """
        SELECT event.kind, event.keys, event.job_id, event.available_at <= now() AS is_due,
               event.position IS NOT NULL AS is_ordered,
               CASE WHEN %(limits)s::jsonb ? event.kind
                    THEN least(%(most)s::int, (%(limits)s::jsonb ->> event.kind)::int)
                    ELSE 1 END AS most
        FROM duly.outbox_events AS event
        WHERE event.keys IS NOT NULL AND event.queue = wanted.queue
          AND event.priority = wanted.level
          AND (event.kind, event.keys) > ({after}.kind, {after}.keys)
        ORDER BY event.kind, event.keys, event.available_at
        LIMIT 1
"""
"""The oldest event of the kind and keys that come next in a queue and level.

One index probe, whatever the backlog.
"""

# Relay: looks at the kinds and keys that wait in each queue and level, from those after the given
# ones on, until `sought` have due events, and at `hops` at most. Returns those that have, and the
# last one: the job of the oldest event; how many, counted up to `most` and to the kind's limit; and
# the first event of an ordered key: its job, and where that waits. `limits` has the limit of each
# kind, or null; that of others is 1.
SCAN_KEYS = f"""
SELECT wanted.queue, wanted.level, hop.kind, hop.keys, hop.job_id, hop.is_ordered, hop.goes_on,
       CASE WHEN NOT hop.is_due THEN 0 WHEN hop.is_ordered OR hop.most = 1 THEN 1 ELSE (
           SELECT count(*) FROM (
               SELECT FROM duly.outbox_events AS event
               WHERE event.keys IS NOT NULL AND event.queue = wanted.queue
                 AND event.priority = wanted.level AND event.kind = hop.kind
                 AND event.keys = hop.keys AND event.available_at <= now()
               LIMIT hop.most
           ) AS due
       ) END AS due,
       first.job_id AS first_id, first.queue AS first_queue, first.kind AS first_kind,
       first.keys AS first_keys, first.is_due AS first_is_due
FROM json_to_recordset(%(wanted)s::json)
     AS wanted (queue text, level smallint, kind text, keys text[])
CROSS JOIN LATERAL (
    WITH RECURSIVE hop AS (
        (SELECT next.*, 1 AS n, is_due::int AS due FROM ({_NEXT.format(after="wanted")}) AS next)
        UNION ALL
        SELECT next.*, hop.n + 1, hop.due + next.is_due::int
        FROM hop CROSS JOIN LATERAL ({_NEXT.format(after="hop")}) AS next
        WHERE hop.n < %(hops)s::int AND hop.due < %(sought)s::int
    )
    SELECT *, n = max(n) OVER () AS is_last,
           n = %(hops)s::int OR is_due AND due = %(sought)s::int AS goes_on
    FROM hop
) AS hop
LEFT JOIN LATERAL (
    SELECT event.job_id, event.queue, event.kind, event.keys,
           event.available_at <= now() AS is_due
    FROM duly.outbox_events AS event
    WHERE event.keys IS NOT NULL AND event.position IS NOT NULL AND event.keys[1] = hop.keys[1]
      AND hop.is_due AND hop.is_ordered
    ORDER BY event.position
    LIMIT 1
) AS first ON true
WHERE hop.is_due OR hop.is_last
ORDER BY wanted.queue, wanted.level, hop.n
"""

# Relay: locks keys until its transaction ends, and returns those that it got. What another relay
# holds is skipped, so nobody waits.
TRY_LOCK_KEYS = """
SELECT key FROM unnest(%(keys)s::text[]) AS key
WHERE pg_try_advisory_xact_lock(hashtext('duly: keys'), hashtext(key))
"""

# Relay, once it has locked keys: how many jobs hold each, and how many of these have not begun.
COUNT_HOLDERS = f"""
SELECT holder.key, count(*) AS held,
       count(*) FILTER (WHERE job.state || '' = 'queued') AS unclaimed
FROM duly.key_holders AS holder
JOIN duly.jobs AS job ON job.id = holder.job_id
WHERE holder.key = ANY (%(keys)s::text[]) AND {COUNTS}
GROUP BY holder.key
"""

_ADMITTED = """), admitted AS (
    UPDATE duly.outbox_events AS event
    SET keys = NULL, available_at = now()
    FROM due
    WHERE event.job_id = due.job_id
    RETURNING event.job_id, due.dispatch, due.queue, due.keys
), holder AS (
    INSERT INTO duly.key_holders AS earlier (key, job_id, dispatch)
    SELECT key, job_id, dispatch FROM admitted CROSS JOIN unnest(keys) AS key
    ON CONFLICT (job_id, key) DO UPDATE SET dispatch = excluded.dispatch, admitted_at = now()
    WHERE earlier.dispatch < excluded.dispatch
)
SELECT queue, keys FROM admitted
"""

# Relay: lets up to `most` of the oldest due events of these kinds and keys be published.
ADMIT = f"""
WITH due AS (
    SELECT event.*
    FROM json_to_recordset(%(wanted)s::json)
         AS wanted (queue text, level smallint, kind text, keys text[], most int)
    CROSS JOIN LATERAL (
        SELECT event.job_id, event.dispatch, event.queue, event.keys
        FROM duly.outbox_events AS event
        WHERE event.keys IS NOT NULL AND event.queue = wanted.queue
          AND event.priority = wanted.level AND event.kind = wanted.kind
          AND event.keys = wanted.keys AND event.position IS NULL AND event.available_at <= now()
        ORDER BY event.available_at
        LIMIT wanted.most
        FOR UPDATE SKIP LOCKED
    ) AS event
{_ADMITTED}"""

# The same for the events of these jobs. One of an ordered key must still be the first of it.
ADMIT_FIRST = f"""
WITH due AS (
    SELECT event.job_id, event.dispatch, event.queue, event.keys
    FROM duly.outbox_events AS event
    JOIN json_to_recordset(%(wanted)s::json) AS wanted (id uuid, kind text, keys text[])
      ON event.job_id = wanted.id AND event.kind = wanted.kind AND event.keys = wanted.keys
    WHERE event.available_at <= now() AND NOT EXISTS (
        SELECT FROM duly.outbox_events AS earlier
        WHERE earlier.keys IS NOT NULL AND earlier.position IS NOT NULL
          AND earlier.keys[1] = event.keys[1] AND earlier.position < event.position
    )
    FOR UPDATE OF event SKIP LOCKED
{_ADMITTED}"""
