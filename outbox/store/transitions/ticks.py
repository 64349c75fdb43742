"""What relays do with the ticks of schedules: each makes one job, or is listed with why not.

A tick's statement also moves `next_due_at` from this tick to the next. So only one of any number of
relays makes it, and a crash leaves it made or not made. The key of `ticks` keeps a tick from being
made again, whatever sets `next_due_at` back: an edit while Postgres's clock is behind.
"""

# Relay: the schedules whose ticks come next, those that are due among them, earliest first. A time
# that Python cannot represent is left out.
NEXT_TICKS = """
SELECT name, cron, zone, version, missed, catch_up_seconds, jitter_seconds,
       next_due_at, now() AS now
FROM duly.schedules
WHERE next_due_at BETWEEN '2000-01-01' AND '9999-01-01'
ORDER BY next_due_at
LIMIT 1000
"""

_LIVE = """
    SELECT job.id FROM {of}
    CROSS JOIN LATERAL (
        SELECT job_id FROM duly.ticks
        WHERE schedule = {of}.name AND job_id IS NOT NULL
        ORDER BY due_at DESC
        LIMIT 100
    ) AS recent
    JOIN duly.jobs AS job ON job.id = recent.job_id
    WHERE job.state || '' IN ('queued', 'running')
"""
"""The jobs of a schedule's last hundred ticks that have not ended."""

_JOB = """
    INSERT INTO duly.jobs (id, kind, queue, priority, payload, run_at, attempt_limit,
                           attempt_budget, subject, submitted_by, keys, position, trace)
    SELECT tick.job_id, kind, queue, priority, payload,
           greatest(now(), tick.due_at + {held_back}),
           attempt_budget, attempt_budget, coalesce(subject, 'schedule:' || name), {by},
           keys, CASE WHEN is_ordered THEN nextval('duly.positions') END, %(trace)s
    FROM tick, {of} AS schedule{only}
    RETURNING id, dispatch, kind, queue, priority, run_at, keys, position
), event AS (
    INSERT INTO duly.outbox_events (job_id, dispatch, kind, queue, priority, available_at, keys,
                                    position)
    SELECT id, dispatch, kind, queue, priority, run_at, keys, position FROM job
"""
"""Submits the job of each tick made, of one schedule."""

_BY = "'schedule:' || name"
_ONLY_MADE = " WHERE tick.outcome = 'made'"
_HELD_BACK = "%(held_back_seconds)s * interval '1 second'"

# Relay: records a due tick, and submits its job unless the schedule is paused, or `overlap` says no
# while an earlier tick's job has not ended. Does nothing if the tick is on record, if the schedule
# was changed, or if the tick is not due by Postgres's clock. Earlier jobs are locked in the order
# that CANCEL locks in, so that the two wait for each other and do not deadlock.
TICK = f"""
WITH due AS (
    UPDATE duly.schedules
    SET next_due_at = %(next_due_at)s
    WHERE name = %(name)s AND version = %(version)s AND next_due_at = %(due_at)s
      AND next_due_at <= now() AND deleted_at IS NULL
    RETURNING *
), live AS ({_LIVE.format(of="due")}
), judged AS (
    SELECT due.name, due.overlap,
           CASE WHEN due.paused_at IS NOT NULL THEN 'the schedule was paused'
                WHEN due.overlap = 'skip' AND EXISTS (SELECT FROM live)
                    THEN 'overlap: the job of an earlier tick had not ended'
           END AS skipped_for,
           due.overlap = 'queue' AND (
               EXISTS (SELECT FROM live)
               OR EXISTS (SELECT FROM duly.ticks WHERE schedule = due.name AND outcome = 'waiting')
           ) AS waits
    FROM due
), tick AS (
    INSERT INTO duly.ticks (schedule, due_at, outcome, why, job_id)
    SELECT name, %(due_at)s,
           CASE WHEN skipped_for IS NOT NULL THEN 'skipped' WHEN waits THEN 'waiting'
                ELSE 'made' END,
           skipped_for,
           CASE WHEN skipped_for IS NULL AND NOT waits THEN %(job_id)s::uuid END
    FROM judged
    ON CONFLICT DO NOTHING
    RETURNING schedule, due_at, outcome, why, job_id
), other AS (
    SELECT id FROM duly.jobs
    WHERE id IN (SELECT live.id FROM live, judged, tick
                 WHERE judged.overlap = 'cancel_other' AND tick.outcome = 'made')
      AND state || '' IN ('queued', 'running')
    ORDER BY id
    FOR UPDATE
), cancelled AS (
    UPDATE duly.jobs AS job
    SET state = CASE job.state WHEN 'queued' THEN 'cancelled' ELSE job.state END,
        finished_at = CASE job.state WHEN 'queued' THEN now() END,
        cancel_requested_at = coalesce(job.cancel_requested_at, now()),
        cancel_reason = coalesce(job.cancel_reason,
                                 'overlap: the next tick of its schedule was due')
    FROM other
    WHERE job.id = other.id
    RETURNING job.id, job.state, job.kind
), withdrawn AS (
    DELETE FROM duly.outbox_events USING cancelled WHERE job_id = cancelled.id
), job AS ({_JOB.format(held_back=_HELD_BACK, of="due", by=_BY, only=_ONLY_MADE)}
)
SELECT tick.outcome, tick.why, due.kind, due.queue,
       ARRAY(SELECT id FROM cancelled WHERE state = 'cancelled') AS cancelled,
       ARRAY(SELECT kind FROM cancelled WHERE state = 'cancelled') AS cancelled_kinds
FROM due LEFT JOIN tick ON true
"""

# Relay: records ticks that are skipped, from the earliest that is not on record.
SKIP_TICKS = """
WITH due AS (
    UPDATE duly.schedules
    SET next_due_at = %(next_due_at)s
    WHERE name = %(name)s AND version = %(version)s AND next_due_at = (%(due_at)s::timestamptz[])[1]
      AND next_due_at <= now() AND deleted_at IS NULL
    RETURNING name
), tick AS (
    INSERT INTO duly.ticks (schedule, due_at, outcome, why)
    SELECT name, due_at, 'skipped', %(why)s FROM due, unnest(%(due_at)s::timestamptz[]) AS due_at
    ON CONFLICT DO NOTHING
    RETURNING due_at
)
SELECT tick.due_at FROM due LEFT JOIN tick ON true
"""

# Relay: the schedules that have a tick waiting for an earlier tick's job to end.
WAITING_SCHEDULES = """
SELECT DISTINCT tick.schedule
FROM duly.ticks AS tick
JOIN duly.schedules AS schedule ON schedule.name = tick.schedule
WHERE tick.outcome = 'waiting' AND schedule.deleted_at IS NULL AND schedule.paused_at IS NULL
"""

# Relay: submits the job of a schedule's first waiting tick, if no earlier tick's job is left. Two
# relays choose the same tick, and the second finds it made.
MAKE_WAITING = f"""
WITH waiting AS (
    SELECT schedule.*, first.due_at
    FROM duly.schedules AS schedule
    CROSS JOIN LATERAL (
        SELECT due_at FROM duly.ticks
        WHERE schedule = schedule.name AND outcome = 'waiting'
        ORDER BY due_at
        LIMIT 1
    ) AS first
    WHERE name = %(name)s AND deleted_at IS NULL AND paused_at IS NULL
), live AS ({_LIVE.format(of="waiting")}
), tick AS (
    UPDATE duly.ticks AS tick
    SET outcome = 'made', job_id = %(job_id)s, recorded_at = now()
    FROM waiting
    WHERE tick.schedule = waiting.name AND tick.due_at = waiting.due_at
      AND tick.outcome = 'waiting' AND NOT EXISTS (SELECT FROM live)
    RETURNING tick.schedule, tick.due_at, tick.outcome, tick.job_id
), job AS ({_JOB.format(held_back="interval '0'", of="waiting", by=_BY, only="")}
)
SELECT tick.due_at, waiting.kind, waiting.queue FROM tick, waiting
"""

# A person, who runs a schedule now or over a range: submits the jobs of these ticks, each once. One
# that was skipped is made, one that was made stays as it is.
MAKE_TICKS = f"""
WITH schedule AS (
    SELECT * FROM duly.schedules WHERE name = %(name)s AND deleted_at IS NULL
), tick AS (
    INSERT INTO duly.ticks AS old (schedule, due_at, outcome, why, job_id)
    SELECT schedule.name, wanted.due_at, 'made', %(why)s, wanted.job_id
    FROM schedule, unnest(%(due_at)s::timestamptz[], %(job_id)s::uuid[]) AS wanted (due_at, job_id)
    ON CONFLICT (schedule, due_at) DO UPDATE
    SET outcome = 'made', why = excluded.why, job_id = excluded.job_id, recorded_at = now()
    WHERE old.outcome = 'skipped'
    RETURNING schedule, due_at, outcome, job_id
), job AS ({_JOB.format(held_back="interval '0'", of="schedule", by="%(by)s::text", only="")}
)
SELECT due_at, job_id FROM tick
"""

# A person, who edits or deletes a schedule: lists the ticks that were due before and not yet made.
LIST_UNMADE = """
INSERT INTO duly.ticks (schedule, due_at, outcome, why)
SELECT %(name)s, due_at, 'skipped', %(why)s FROM unnest(%(due_at)s::timestamptz[]) AS due_at
ON CONFLICT DO NOTHING
"""

# Relay: deletes ticks due longer ago than the retention, but those that wait.
PRUNE_TICKS = """
DELETE FROM duly.ticks WHERE due_at < now() - %(retention)s AND outcome <> 'waiting'
"""
