"""What makes and changes schedules: the app's code when a relay starts, or a person."""

_COLUMNS = """source, cron, zone, kind, queue, priority, payload, attempt_budget, subject, overlap,
        missed, catch_up_seconds, jitter_seconds, next_due_at, keys, is_ordered"""
_VALUES = """%(source)s, %(cron)s, %(zone)s, %(kind)s, %(queue)s, %(priority)s,
        %(payload)s::text::jsonb, %(attempt_budget)s, %(subject)s, %(overlap)s, %(missed)s,
        %(catch_up_seconds)s, %(jitter_seconds)s, %(next_due_at)s,
        %(keys)s::text[], %(is_ordered)s::boolean"""
_OF_WORK = """source, kind, queue, priority, payload, attempt_budget, subject, overlap, missed,
           catch_up_seconds, jitter_seconds, cron, zone, deleted_at, keys, is_ordered"""
_DIFFERS = f"""
    ({", ".join(f"old.{name.strip()}" for name in _OF_WORK.split(","))})
    IS DISTINCT FROM
    ({", ".join(f"excluded.{name.strip()}" for name in _OF_WORK.split(","))})
"""
_SET = """
    source = excluded.source, cron = excluded.cron, zone = excluded.zone, kind = excluded.kind,
    queue = excluded.queue, priority = excluded.priority, payload = excluded.payload,
    attempt_budget = excluded.attempt_budget, subject = excluded.subject,
    overlap = excluded.overlap, missed = excluded.missed,
    catch_up_seconds = excluded.catch_up_seconds, jitter_seconds = excluded.jitter_seconds,
    keys = excluded.keys, is_ordered = excluded.is_ordered,
    deleted_at = NULL, updated_at = now(), version = old.version + 1
"""

_WAITING_SKIPPED = """tick AS (
    UPDATE duly.ticks SET outcome = 'skipped', why = 'the schedule was deleted', recorded_at = now()
    FROM deleted
    WHERE schedule = deleted.name AND outcome = 'waiting'
)"""

# Relay, when it starts: what the app's code declares. A schedule that is as declared stays as it
# is, and so does its next tick unless cron or zone changed. A pause survives.
DECLARE_SCHEDULE = f"""
INSERT INTO duly.schedules AS old (name, {_COLUMNS})
VALUES (%(name)s, {_VALUES})
ON CONFLICT (name) DO UPDATE
SET {_SET},
    next_due_at = CASE WHEN old.deleted_at IS NULL
                        AND (old.cron, old.zone) = (excluded.cron, excluded.zone)
                       THEN old.next_due_at ELSE excluded.next_due_at END
WHERE {_DIFFERS}
RETURNING name
"""

# Relay, before RETIRE_SCHEDULES: locks the same schedules. What a tick leaves that another relay
# makes at this moment is then seen, and does not wait for ever.
LOCK_RETIRED = """
SELECT name FROM duly.schedules
WHERE source = 'code' AND deleted_at IS NULL AND name <> ALL (%(names)s::text[])
ORDER BY name
FOR UPDATE
"""

# Relay, when it starts: stops the schedules that the app's code no longer declares.
RETIRE_SCHEDULES = f"""
WITH deleted AS (
    UPDATE duly.schedules
    SET deleted_at = now(), updated_at = now(), next_due_at = NULL, version = version + 1
    WHERE source = 'code' AND deleted_at IS NULL AND name <> ALL (%(names)s::text[])
    RETURNING name
), {_WAITING_SKIPPED}
SELECT name FROM deleted
"""

# A person: a new schedule, or one in place of a deleted one of the same name.
CREATE_SCHEDULE = f"""
INSERT INTO duly.schedules AS old (name, {_COLUMNS})
VALUES (%(name)s, {_VALUES})
ON CONFLICT (name) DO UPDATE
SET {_SET}, next_due_at = excluded.next_due_at, paused_at = NULL, created_at = now()
WHERE old.deleted_at IS NOT NULL
RETURNING version
"""

# A person, who has locked the schedule: if it has this version, it gets these values. Its next tick
# stays unless cron or zone changed.
EDIT_SCHEDULE = f"""
UPDATE duly.schedules AS old
SET ({_COLUMNS}, updated_at, version)
  = (SELECT {
    _VALUES.replace(
        "%(next_due_at)s",
        "CASE WHEN (old.cron, old.zone) = (%(cron)s, %(zone)s) THEN old.next_due_at "
        "ELSE %(next_due_at)s::timestamptz END",
    )
}, now(), old.version + 1)
WHERE name = %(name)s AND version = %(version)s
RETURNING version
"""

# A person: ticks are listed as skipped from now on, or make jobs again.
PAUSE_SCHEDULE = """
UPDATE duly.schedules
SET paused_at = now(), updated_at = now(), version = version + 1
WHERE name = %(name)s AND deleted_at IS NULL AND paused_at IS NULL
RETURNING version
"""
RESUME_SCHEDULE = """
UPDATE duly.schedules
SET paused_at = NULL, updated_at = now(), version = version + 1
WHERE name = %(name)s AND deleted_at IS NULL AND paused_at IS NOT NULL
RETURNING version
"""

# A person, who has locked the schedule: no tick comes any more, and none waits. What was made
# stays.
DELETE_SCHEDULE = f"""
WITH deleted AS (
    UPDATE duly.schedules
    SET deleted_at = now(), updated_at = now(), next_due_at = NULL, version = version + 1
    WHERE name = %(name)s AND deleted_at IS NULL
      AND version = coalesce(%(version)s::int, version)
    RETURNING name, version
), {_WAITING_SKIPPED}
SELECT version FROM deleted
"""
