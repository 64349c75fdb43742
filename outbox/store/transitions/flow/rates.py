"""The clocks of keys with a rate: claims take permits from them (GCRA).

A clock is one time, `tat`: when the last permit that was taken would have come, if they had come
evenly spaced and none had been kept. With `burst` permits kept, the n-th permit from now is there
at `tat + (n - burst) * spacing`. A clock that lags behind counts as standing at now. One that is
further ahead than `burst` permits is moved back to that: Postgres's time was set back, or another
rate holds now. No permit is free then, and the next one comes after one spacing. Before
`not_before` there is none: a receiver has asked for that.

A transaction that takes permits locks the clocks in the order of their keys, and has only one such
statement. So it waits for others, but never in a circle.
"""

from outbox.store.transitions.flow.unique import unique
from outbox.store.transitions.levels import LEVEL
from outbox.store.transitions.run import CLAIM, SNOOZE

LONGEST_PAUSE = "interval '1 day'"
"""A receiver that asks for a longer pause of its key is asked again after so long."""

# Of the rows that a claim would take, those for which there is no permit are `over`. A clock that
# does not exist is made, with what is taken from it, once those that do are locked. If somebody
# else has just made it, its jobs are over, too, as their permits are not known.
_PERMITS = """claimable AS MATERIALIZED (
    SELECT job.id, job.dispatch, job.keys, asked.n, asked.spacings::bigint[] AS spacings,
           asked.bursts::int[] AS bursts
    FROM unnest(%(id)s::uuid[], %(dispatch)s::int[], %(kind)s::text[], %(spacings)s::text[],
                %(bursts)s::text[])
         WITH ORDINALITY AS asked (id, dispatch, kind, spacings, bursts, n)
    JOIN duly.jobs AS job
      ON job.id = asked.id AND job.dispatch = asked.dispatch AND job.kind = asked.kind
    WHERE job.id = ANY (%(id)s::uuid[]) AND job.run_at <= now() AND job.state || '' = 'queued'
      AND (job.expires_at IS NULL OR job.expires_at > now() OR job.started_at IS NOT NULL)
      AND (
          SELECT true FROM duly.key_holders AS holder
          WHERE holder.job_id = job.id AND holder.dispatch = job.dispatch
          LIMIT 1
      )<and not>
), wanted AS MATERIALIZED (
    SELECT claimable.id, claimable.dispatch, of.key, rate.spacing, rate.burst,
           row_number() OVER (PARTITION BY of.key ORDER BY claimable.n) AS place
    FROM claimable
    CROSS JOIN LATERAL unnest(claimable.keys, claimable.spacings, claimable.bursts)
         AS of (key, spacing, burst)
    LEFT JOIN duly.key_limits AS own
      ON own.key = of.key AND own.key = ANY (ARRAY(SELECT unnest(keys) FROM claimable))
    CROSS JOIN LATERAL (
        SELECT coalesce(own.burst, of.burst) AS burst, interval '1 microsecond' * coalesce(
            ceil(extract(epoch FROM own.per) * 1000000 / own.permits), of.spacing
        )::float8 AS spacing
    ) AS rate
    WHERE rate.burst > 0
), clock AS MATERIALIZED (
    SELECT key, tat, not_before FROM duly.key_clocks
    WHERE key = ANY (ARRAY(SELECT key FROM wanted))
    ORDER BY key
    FOR UPDATE
), permit AS MATERIALIZED (
    SELECT wanted.id, wanted.dispatch, key, wanted.spacing, begin.tat, clock.tat IS NULL AS is_new,
           greatest(begin.tat + (wanted.place - wanted.burst) * wanted.spacing,
                    clock.not_before) AS at
    FROM wanted
    LEFT JOIN clock USING (key)
    CROSS JOIN LATERAL (
        SELECT least(greatest(clock.tat, now()), now() + wanted.burst * wanted.spacing) AS tat
    ) AS begin
), made AS (
    INSERT INTO duly.key_clocks (key, tat)
    SELECT key, now() + coalesce(sum(spacing) FILTER (WHERE starts), '0')
    FROM (
        SELECT key, spacing, max(at) OVER (PARTITION BY id) <= now() AS starts FROM permit
    ) AS permit
    GROUP BY key
    ORDER BY key
    ON CONFLICT (key) DO NOTHING
    RETURNING key
), over AS MATERIALIZED (
    SELECT id, dispatch, max(at) AS at
    FROM (
        SELECT id, dispatch, CASE WHEN is_new AND key NOT IN (SELECT key FROM made)
                                  THEN greatest(at, now() + interval '100 ms') ELSE at END AS at
        FROM permit
    ) AS permit
    GROUP BY id, dispatch
    HAVING max(at) > now()
)"""

_TAKEN = f"""taken AS (
    UPDATE duly.key_clocks AS clock SET tat = permit.tat + permit.taken
    FROM (
        SELECT key, max(tat) AS tat,
               coalesce(sum(spacing) FILTER (WHERE claimed.id IS NOT NULL), '0') AS taken
        FROM permit LEFT JOIN claimed USING (id)
        GROUP BY key
    ) AS permit
    WHERE clock.key = permit.key AND clock.key = ANY (ARRAY(SELECT key FROM wanted))
      AND (permit.taken > '0' OR permit.tat < clock.tat)
), sent_back AS (
    UPDATE duly.jobs AS job SET dispatch = job.dispatch + 1
    FROM over
    WHERE job.id = over.id AND job.id = ANY (%(id)s::uuid[]) AND job.dispatch = over.dispatch
      AND job.state || '' = 'queued'
    RETURNING job.id, job.dispatch, job.kind, job.queue, {LEVEL}, over.at, job.keys, job.position
), waiting AS (
    INSERT INTO duly.outbox_events (job_id, dispatch, kind, queue, priority, available_at, keys,
                                    position)
    SELECT id, dispatch, kind, queue, level, at, keys, position FROM sent_back
    ON CONFLICT (job_id) DO UPDATE
    SET dispatch = excluded.dispatch, available_at = excluded.available_at, failures = 0,
        keys = excluded.keys
)"""

_CLAIM = CLAIM.strip().replace(
    "\nRETURNING", "\n  AND job.id NOT IN (SELECT id FROM over)\nRETURNING"
)

# CLAIM for kinds whose keys have rates: each start takes a permit of each of them. What is over
# goes back to the outbox until its permit is there, without an attempt, and waits for its keys
# again. As CLAIM_LIMITED it waits for the disk: a crash of Postgres forgets no permit.
CLAIM_RATED = f"""
WITH {_PERMITS.replace("<and not>", "")}, claimed AS (
    {_CLAIM.replace("RETURNING", "RETURNING job.id,")}
), {_TAKEN}
SELECT * FROM claimed
"""

# The same for unique kinds. A job whose key is busy takes no permit, and one that is over keeps its
# unique key: it has not started.
CLAIM_UNIQUE_RATED = unique(
    _CLAIM,
    before=_PERMITS.replace("<and not>", "\n      AND job.id NOT IN (SELECT job_id FROM busy)")
    + ", ",
    after=f", {_TAKEN}",
)

# SNOOZE for an actor whose receiver has asked it to come back later: moves the clocks of those of
# the job's keys that have a rate, too.
RATE_LIMITED = SNOOZE.replace(
    "\nSELECT n, state, kind, queue",
    f""", moved AS (
    INSERT INTO duly.key_clocks AS clock (key, tat, not_before)
    SELECT of.key, now(), max(least(snoozed.run_at, now() + {LONGEST_PAUSE}))
    FROM snoozed
    JOIN unnest(%(id)s::uuid[], %(bursts)s::text[]) AS told (id, bursts) USING (id)
    CROSS JOIN LATERAL unnest(snoozed.keys, told.bursts::int[]) AS of (key, burst)
    LEFT JOIN duly.key_limits AS own
      ON own.key = of.key AND own.key = ANY (ARRAY(SELECT unnest(keys) FROM snoozed))
    WHERE coalesce(own.burst, of.burst) > 0
    GROUP BY of.key
    ORDER BY of.key
    ON CONFLICT (key) DO UPDATE
    SET not_before = greatest(clock.not_before, excluded.not_before)
)
SELECT n, state, kind, queue""",
)

# Relay: how many seconds each clock is ahead of now, and for how many its receiver asked.
READ_CLOCKS = """
SELECT key, extract(epoch FROM tat - now())::float8 AS ahead,
       extract(epoch FROM not_before - now())::float8 AS pause
FROM duly.key_clocks WHERE key = ANY (%(keys)s::text[])
"""

# Relay: what people have set in place of declared limits.
READ_LIMITS = """
SELECT key, at_most, permits, per, burst FROM duly.key_limits
"""

# Relay: deletes clocks that say no more than none would.
PRUNE_CLOCKS = """
WITH past AS (
    SELECT key FROM duly.key_clocks
    WHERE tat < now() - interval '1 hour' AND (not_before IS NULL OR not_before < now())
    FOR UPDATE SKIP LOCKED
)
DELETE FROM duly.key_clocks AS clock USING past WHERE clock.key = past.key
"""
