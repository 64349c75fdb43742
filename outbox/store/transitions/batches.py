"""What happens to batches: they are made, grow, are sealed, counted and settled, or cancelled.

Whoever ends a job adds a row to batch_changes (see members). The relay adds the rows up. It locks
the batches with LOCK_BATCHES, and then runs FOLD, whose snapshot is newer than the locks: so what
the last one to fold a batch has counted is seen, and counted once.
"""

from outbox.store.transitions.members import count_ended
from outbox.store.transitions.outbox import NEXT_POSITION

# A transaction's jobs and batches, where there are batches: it makes those that are new, and seals
# the others. `within` is the batch that a batch is a member of, `adder` the running job that adds
# it. A batch that was made in an earlier transaction is locked until this one ends, so that nobody
# seals or settles it before its new members count. Who seals one takes the stronger lock at once:
# two who shared a lock would wait for each other. `sealed` counts `allowed`, so that all locks are
# taken before, in their order: Postgres would see to that anyway, but does not promise it.
# A sealed batch takes new members only from its own. To any other it raises check_violation.
SUBMIT_MEMBERS = f"""
WITH new AS MATERIALIZED (
    SELECT *
    FROM json_to_recordset(%(jobs)s::json)
         AS new (id uuid, kind text, queue text, priority smallint, payload text,
                 run_at timestamptz, budget int, subject text, parent_id uuid, submitted_by text,
                 batch_id uuid, expires_at timestamptz, keys text[], is_ordered boolean,
                 trace text)
), given AS MATERIALIZED (
    SELECT *
    FROM json_to_recordset(%(batches)s::json)
         AS given (id uuid, is_new boolean, is_sealed boolean, within uuid, adder uuid,
                   on_success text, on_settled text, on_first_death text, subject text,
                   submitted_by text)
), addition AS (
    SELECT batch_id AS id, parent_id AS adder, count(*)::int AS added
    FROM new WHERE batch_id IS NOT NULL GROUP BY batch_id, parent_id
    UNION ALL
    SELECT within, adder, count(*)::int
    FROM given WHERE within IS NOT NULL GROUP BY within, adder
    UNION ALL
    SELECT id, NULL, 0 FROM given
), shared AS MATERIALIZED (
    SELECT id, sealed_at, settled_at, cancelled_at
    FROM duly.batches
    WHERE id IN (SELECT id FROM addition)
      AND NOT EXISTS (SELECT FROM given WHERE NOT is_new)
    ORDER BY id
    FOR SHARE
), locked AS MATERIALIZED (
    SELECT id, sealed_at, settled_at, cancelled_at
    FROM duly.batches
    WHERE id IN (SELECT id FROM addition)
      AND EXISTS (SELECT FROM given WHERE NOT is_new)
    ORDER BY id
    FOR UPDATE
), earlier AS (
    SELECT * FROM shared UNION ALL SELECT * FROM locked
), allowed AS MATERIALIZED (
    SELECT addition.id, addition.added
    FROM addition
    LEFT JOIN earlier ON earlier.id = addition.id
    WHERE CASE
        WHEN addition.id IN (SELECT id FROM given WHERE is_new) THEN true
        WHEN earlier.id IS NULL
            THEN duly.refuse(concat('there is no batch ', addition.id))
        WHEN addition.added = 0 THEN true
        WHEN earlier.cancelled_at IS NOT NULL
            THEN duly.refuse(concat('batch ', addition.id, ' is cancelled'))
        WHEN earlier.sealed_at IS NULL THEN true
        WHEN earlier.settled_at IS NULL
             AND EXISTS (SELECT FROM duly.jobs
                         WHERE jobs.id = addition.adder AND jobs.batch_id = addition.id) THEN true
        ELSE duly.refuse(concat('batch ', addition.id, ' is sealed: only its members add to it'))
    END
), batch AS (
    INSERT INTO duly.batches (id, parent_id, sealed_at, on_success, on_settled, on_first_death,
                              subject, submitted_by)
    SELECT id, within, CASE WHEN is_sealed THEN now() END, on_success::jsonb, on_settled::jsonb,
           on_first_death::jsonb, subject, submitted_by
    FROM given WHERE is_new
), sealed AS (
    UPDATE duly.batches AS old
    SET sealed_at = now()
    FROM given
    WHERE old.id = given.id AND old.sealed_at IS NULL
      AND (SELECT count(*) FROM allowed) >= 0
), change AS (
    INSERT INTO duly.batch_changes (batch_id, added)
    SELECT id, sum(added) FROM allowed GROUP BY id
), job AS (
    INSERT INTO duly.jobs (id, kind, queue, priority, payload, run_at, attempt_limit,
                           attempt_budget, subject, parent_id, submitted_by, batch_id,
                           expires_at, keys, position, trace)
    SELECT id, kind, queue, priority, payload::jsonb, coalesce(run_at, now()), budget, budget,
           subject, parent_id, submitted_by, batch_id, expires_at, keys, {NEXT_POSITION}, trace
    FROM new
    RETURNING id, dispatch, kind, queue, priority, run_at, keys, position
)
INSERT INTO duly.outbox_events (job_id, dispatch, kind, queue, priority, available_at, keys,
                                position)
SELECT id, dispatch, kind, queue, priority, run_at, keys, position FROM job
"""

# Relay: the next batches, in the order of their ids, whose counts change. A loose index scan: one
# index probe for each batch, however many changes it has.
CHANGED_BATCHES = """
WITH RECURSIVE changed AS (
    (SELECT batch_id FROM duly.batch_changes WHERE batch_id > %(after)s
     ORDER BY batch_id LIMIT 1)
    UNION ALL
    SELECT (SELECT change.batch_id FROM duly.batch_changes AS change
            WHERE change.batch_id > changed.batch_id ORDER BY change.batch_id LIMIT 1)
    FROM changed
    WHERE changed.batch_id IS NOT NULL
)
SELECT batch_id FROM changed WHERE batch_id IS NOT NULL LIMIT 100
"""

# Relay: locks those of these batches that nobody else has locked. FOLD follows.
LOCK_BATCHES = """
SELECT id FROM duly.batches WHERE id = ANY (%(ids)s::uuid[])
ORDER BY id
FOR UPDATE SKIP LOCKED
"""

# Relay: adds up the changes of the batches that it has locked. A sealed batch none of whose members
# is open settles. A settled batch one of whose members was replayed begins its next generation,
# also if that member has ended again since. Callbacks are inserted here, and nowhere else. So is
# what a parent has to know: what it was told before no longer holds, and what holds now.
# `job_ids` has ids for the callbacks, three for each batch.
FOLD = """
WITH change AS (
    DELETE FROM duly.batch_changes WHERE batch_id = ANY (%(ids)s::uuid[])
    RETURNING batch_id, added, succeeded, dead, cancelled, reopens
), total AS (
    SELECT batch_id, sum(added)::int AS added, sum(succeeded)::int AS succeeded,
           sum(dead)::int AS dead, sum(cancelled)::int AS cancelled,
           bool_or(dead > 0) AS has_died, bool_or(reopens) AS reopens
    FROM change
    GROUP BY batch_id
), counted AS (
    SELECT old.id, old.parent_id, old.on_success, old.on_settled, old.on_first_death,
           coalesce(old.subject, concat('batch:', old.id)) AS subject, old.submitted_by,
           old.outcome AS old_outcome, old.settled_at AS old_settled_at, old.cancelled_at,
           old.first_death_at AS old_first_death_at, old.sealed_at, total.has_died,
           old.settled_at IS NOT NULL
               AND (total.reopens OR total.added > 0) AS is_reopened,
           old.generation, old.members + total.added AS members,
           old.succeeded + total.succeeded AS succeeded, old.dead + total.dead AS dead,
           old.cancelled + total.cancelled AS cancelled
    FROM duly.batches AS old
    JOIN total ON total.batch_id = old.id
), judged AS (
    SELECT *, generation + is_reopened::int AS new_generation,
           CASE WHEN NOT is_reopened THEN old_first_death_at END AS earlier_death_at,
           CASE WHEN sealed_at IS NULL OR members > succeeded + dead + cancelled THEN NULL
                WHEN cancelled_at IS NOT NULL THEN 'cancelled'
                WHEN dead > 0 THEN 'dead'
                WHEN cancelled > 0 THEN 'cancelled'
                ELSE 'succeeded' END AS outcome
    FROM counted
), folded AS (
    SELECT *, outcome IS NOT NULL AND (old_settled_at IS NULL OR is_reopened) AS settles,
           has_died AND earlier_death_at IS NULL AND cancelled_at IS NULL AS is_first_death
    FROM judged
), due AS (
    SELECT folded.id, new_generation, name, work, subject, submitted_by,
           (%(job_ids)s::uuid[])[row_number() OVER (ORDER BY folded.id, name)] AS job_id
    FROM folded
    CROSS JOIN LATERAL (VALUES ('on_success', on_success, settles AND outcome = 'succeeded'),
                               ('on_settled', on_settled, settles),
                               ('on_first_death', on_first_death, is_first_death)
    ) AS callback (name, work, is_due)
    WHERE is_due AND work IS NOT NULL
), callback AS (
    INSERT INTO duly.batch_callbacks (batch_id, generation, name, job_id)
    SELECT id, new_generation, name, job_id FROM due
), job AS (
    INSERT INTO duly.jobs (id, kind, queue, priority, payload, attempt_limit, attempt_budget,
                           subject, submitted_by, keys, position, trace)
    SELECT job_id, work->>'kind', work->>'queue', (work->>'priority')::smallint, work->'payload',
           (work->>'budget')::int, (work->>'budget')::int, subject, submitted_by,
           (work->>'keys')::text[],
           CASE WHEN (work->>'is_ordered')::boolean THEN nextval('duly.positions') END,
           work->>'trace'
    FROM due
    RETURNING id, dispatch, kind, queue, priority, run_at, keys, position
), event AS (
    INSERT INTO duly.outbox_events (job_id, dispatch, kind, queue, priority, available_at, keys,
                                    position)
    SELECT id, dispatch, kind, queue, priority, run_at, keys, position FROM job
), ancestor AS (
    INSERT INTO duly.batch_changes (batch_id, succeeded, dead, cancelled, reopens)
    SELECT parent_id, sign * (told = 'succeeded')::int, sign * (told = 'dead')::int,
           sign * (told = 'cancelled')::int, sign < 0 AND is_reopened
    FROM folded
    CROSS JOIN LATERAL (VALUES (old_outcome, -1), (outcome, 1)) AS news (told, sign)
    WHERE parent_id IS NOT NULL AND told IS NOT NULL
      AND (is_reopened OR old_outcome IS DISTINCT FROM outcome)
), updated AS (
    UPDATE duly.batches AS batch
    SET generation = new_generation, members = folded.members, succeeded = folded.succeeded,
        dead = folded.dead, cancelled = folded.cancelled, outcome = folded.outcome,
        first_death_at = CASE WHEN has_died THEN coalesce(earlier_death_at, now())
                              ELSE earlier_death_at END,
        settled_at = CASE WHEN folded.outcome IS NOT NULL
                          THEN CASE WHEN settles THEN now() ELSE old_settled_at END END
    FROM folded
    WHERE batch.id = folded.id
)
SELECT id, new_generation AS generation, outcome, succeeded, dead, cancelled, settles,
       (SELECT count(*) FROM due) AS callbacks
FROM folded
"""

# Relay: cancels what has not ended of cancelled batches, some at a time: queued members at once.
# Running ones are marked, as by CANCEL. Batches that are members are cancelled, too. What somebody
# else has locked is left for the next time: a relay that waited would count no batch meanwhile.
CANCEL_MEMBERS = f"""
WITH batch AS (
    SELECT id FROM duly.batches WHERE cancelled_at IS NOT NULL AND settled_at IS NULL
), inner_batch AS (
    SELECT id FROM duly.batches
    WHERE parent_id IN (SELECT id FROM batch) AND settled_at IS NULL AND cancelled_at IS NULL
    FOR UPDATE SKIP LOCKED
), child AS (
    UPDATE duly.batches AS child
    SET cancelled_at = now(), sealed_at = coalesce(child.sealed_at, now())
    FROM inner_batch
    WHERE child.id = inner_batch.id
    RETURNING child.id
), told AS (
    INSERT INTO duly.batch_changes (batch_id) SELECT id FROM child
), member AS (
    SELECT id FROM duly.jobs
    WHERE batch_id IN (SELECT id FROM batch)
      AND (state = 'queued' OR state = 'running' AND cancel_requested_at IS NULL)
    LIMIT 5000
    FOR UPDATE SKIP LOCKED
), cancelled AS (
    UPDATE duly.jobs AS job
    SET state = CASE job.state WHEN 'queued' THEN 'cancelled' ELSE job.state END,
        finished_at = CASE job.state WHEN 'queued' THEN now() END,
        cancel_requested_at = now(),
        cancel_reason = coalesce(job.cancel_reason, 'its batch was cancelled')
    FROM member
    WHERE job.id = member.id
    RETURNING job.id, job.state, job.kind, job.batch_id
), event AS (
    DELETE FROM duly.outbox_events WHERE job_id IN (SELECT id FROM cancelled)
), {count_ended("cancelled", "cancelled", some_stay=True)}
SELECT id, kind, state FROM cancelled
"""
