"""Every step of a job's life, each one SQL statement, so that a crash leaves it done or not done.

    queued --claim--> running --succeed--> succeeded
       ^                 |----retry/snooze/rescue----> queued (a later dispatch)
       |                 |----die/rescue-------------> dead (a dead letter)
       |----replay-------------------------------------'
    queued --cancel--> cancelled        queued --bury--> dead
    queued, running --put off--> queued (a later dispatch)
    running --retry/snooze/die/rescue--> cancelled, once cancel has asked

A step is fenced: it names the dispatch (and attempt and worker, once claimed) that its caller
knows, and does nothing when the job has moved on. Parameters are psycopg's named ones. Steps that
workers take many of at once take arrays and return the number `n` of each row that took effect,
counted from 1. The database's clock is the only clock, but for who is silent (see RESCUE).

A step that knows its jobs' ids tests `state || ''`, which keeps the planner off the partial indexes
by state. Beside millions of finished jobs its statistics say that none is queued, and that it would
be quickest to read all that are: the longer the backlog, the more a claim would cost. One that
takes many ids asks for `ANY` of them besides joining, so that it goes by the index where a plan
made for a small table is kept (see STEPS in outbox/postgres.py).
"""

# Where a job's events stand in the outbox: fresh jobs by their priority (0, 1, 2), those that were
# ever replayed by the same and 3 more.
REPLAYED = 3
_LEVEL = f"job.priority + CASE WHEN job.replays > 0 THEN {REPLAYED} ELSE 0 END AS level"

# Handler or actor -> queued. Commits or rolls back with the caller's transaction. Nothing comes
# back: the caller knows what it asked for, and rows of an answer cost it more than the question.
SUBMIT = """
WITH job AS (
    INSERT INTO duly.jobs (id, kind, queue, priority, payload, run_at, attempt_limit,
                           attempt_budget, subject, parent_id, submitted_by)
    VALUES (%(id)s::uuid, %(kind)s, %(queue)s, %(priority)s::smallint, %(payload)s::text::jsonb,
            coalesce(%(run_at)s::timestamptz, now()), %(budget)s::int, %(budget)s::int,
            %(subject)s, %(parent_id)s::uuid, %(submitted_by)s)
    RETURNING id, dispatch, kind, queue, priority, run_at
)
INSERT INTO duly.outbox_events (job_id, dispatch, kind, queue, priority, available_at)
SELECT id, dispatch, kind, queue, priority, run_at FROM job
"""

# The same for any number of jobs, as one JSON text, which costs the caller a quarter less than an
# array for each column. One job alone would cost Postgres a fifth more this way.
SUBMIT_ALL = """
WITH job AS (
    INSERT INTO duly.jobs (id, kind, queue, priority, payload, run_at, attempt_limit,
                           attempt_budget, subject, parent_id, submitted_by)
    SELECT id, kind, queue, priority, payload::jsonb, coalesce(run_at, now()), budget, budget,
           subject, parent_id, submitted_by
    FROM json_to_recordset(%(jobs)s::json)
         AS new (id uuid, kind text, queue text, priority smallint, payload text,
                 run_at timestamptz, budget int, subject text, parent_id uuid, submitted_by text)
    RETURNING id, dispatch, kind, queue, priority, run_at
)
INSERT INTO duly.outbox_events (job_id, dispatch, kind, queue, priority, available_at)
SELECT id, dispatch, kind, queue, priority, run_at FROM job
"""

# Relay: the queues that have events, or messages that may get lost, or workers, also those that no
# setting names. A loose index scan: one probe of the index per queue, however long the backlog.
QUEUES_IN_USE = """
WITH RECURSIVE seen AS (
    (SELECT queue FROM duly.outbox_events ORDER BY queue LIMIT 1)
    UNION ALL
    SELECT (SELECT event.queue FROM duly.outbox_events AS event
            WHERE event.queue > seen.queue ORDER BY event.queue LIMIT 1)
    FROM seen
    WHERE seen.queue IS NOT NULL
)
SELECT queue FROM seen WHERE queue IS NOT NULL
UNION
SELECT queue FROM duly.publications
UNION
SELECT jsonb_array_elements_text(queues) FROM duly.workers
"""

# Relay: locks what each queue has room for, highest priority first, oldest first within it. Of each
# priority it takes replayed jobs first, as many as `replays` says, and fresh ones for the rest:
# `replays` has three numbers for each queue, one for each priority.
# A moment that Python lacks, as '-infinity', is told as the epoch.
# Each level is its own index range, so rows scheduled for later are never walked; nor are those
# before the moment that a level has reached, where there is one: see outbox/frontier.py. `reached`
# has six moments for each queue, one for each level.
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
        WHERE queue = wanted.queue AND priority = level.level
          AND available_at >= (%(reached)s::timestamptz[])[(wanted.n - 1) * 6 + level.level + 1]
          AND available_at <= now()
        ORDER BY available_at
        LIMIT level.most
        FOR UPDATE SKIP LOCKED
    ) AS due
    LIMIT wanted.room
) AS event
"""

# Relay: the broker confirmed these; their messages are its business now. One row for the batch
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

# Relay: publications whose time has come are forgotten when all their jobs were claimed. What was
# not claimed is lost if the broker's queue is empty, or if a job of a later publication has been
# claimed: queues are first in, first out. Lost ones go back to the outbox, with the same dispatch:
# if one is not lost after all but waits inside a busy worker, whichever message is read first
# claims the job and the other is dropped.
# This step may itself be slow, and leave an event whose job moved on meanwhile: a later dispatch
# takes its place, an earlier one never does.
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
    SELECT due.id AS publication_id, job.id, job.dispatch, job.kind, job.queue, {_LEVEL}
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
INSERT INTO duly.outbox_events (job_id, dispatch, kind, queue, priority, available_at)
SELECT DISTINCT id, dispatch, kind, queue, level, now()
FROM unclaimed
WHERE publication_id IN (SELECT id FROM overtaken)
ORDER BY id
ON CONFLICT (job_id) DO UPDATE
SET dispatch = excluded.dispatch, available_at = excluded.available_at, failures = 0
WHERE outbox_events.dispatch < excluded.dispatch
RETURNING job_id
"""

# Relay: the broker returned or refused these; each backs off alone, 1 s to 5 min.
DEFER_EVENTS = """
UPDATE duly.outbox_events AS event
SET failures = least(failures + 1, 1000),
    available_at = now() + least(power(2, least(failures, 9)), 300) * interval '1 second'
FROM unnest(%(job_id)s::uuid[], %(dispatch)s::int[]) AS refused (job_id, dispatch)
WHERE event.job_id = ANY (%(job_id)s::uuid[])
  AND event.job_id = refused.job_id AND event.dispatch = refused.dispatch
RETURNING event.job_id, event.dispatch, event.failures
"""

# queued -> dead without having run: its message cannot be published, or no worker knows its kind.
BURY = """
WITH buried AS (
    UPDATE duly.jobs AS job
    SET state = 'dead', finished_at = now()
    FROM unnest(%(id)s::uuid[], %(dispatch)s::int[], %(kind)s::text[], %(queue)s::text[],
                %(reason)s::text[], %(error_type)s::text[], %(error_message)s::text[])
         WITH ORDINALITY AS grave (id, dispatch, kind, queue, reason, error_type, error_message, n)
    WHERE job.id = ANY (%(id)s::uuid[])
      AND job.id = grave.id AND job.dispatch = grave.dispatch
      AND job.kind = grave.kind AND job.queue = grave.queue
      AND job.run_at <= now() AND job.state || '' = 'queued'
    RETURNING job.id, job.dispatch, job.kind, job.queue, grave.reason, grave.error_type,
              grave.error_message, grave.n
), event AS (
    DELETE FROM duly.outbox_events USING buried WHERE job_id = buried.id
), letter AS (
    INSERT INTO duly.dead_letters (job_id, dispatch, kind, queue, reason, error_type,
                                   error_message)
    SELECT id, dispatch, kind, queue, reason, nullif(error_type, ''), error_message FROM buried
)
SELECT n FROM buried
"""

# queued -> queued, or running -> queued with the attempt given back: a worker does not know the
# job's kind, or what its payload says. Another may, so the job waits: 2 s at first, and the longer
# it has been refused the longer, up to a minute. Once it has been refused for `patience_seconds`,
# this step does nothing.
# Table refusals has when that began. Each refusal moves its row on to the job's new dispatch. So a
# row of an older dispatch shows that another step has moved the job since, and counts no more.
# Where a message names the job, `attempt` is 0 and the job is queued. A message may be forged, so
# it must also be right about kind and queue.
PUT_OFF = f"""
WITH refusal AS (
    SELECT asked.*, coalesce(earlier.since, now()) AS since,
           least(greatest(extract(epoch FROM now() - earlier.since), 2), 60) AS delay_seconds
    FROM unnest(%(id)s::uuid[], %(dispatch)s::int[], %(attempt)s::int[], %(kind)s::text[],
                %(queue)s::text[], %(why)s::text[], %(patience_seconds)s::float8[])
         WITH ORDINALITY AS asked (id, dispatch, attempt, kind, queue, why, patience_seconds, n)
    LEFT JOIN duly.refusals AS earlier
           ON earlier.job_id = asked.id AND earlier.dispatch = asked.dispatch
), refused AS (
    UPDATE duly.jobs AS job
    SET state = 'queued', dispatch = job.dispatch + 1,
        attempt = job.attempt - CASE job.state WHEN 'running' THEN 1 ELSE 0 END,
        run_at = now() + refusal.delay_seconds * interval '1 second'
    FROM refusal
    WHERE job.id = ANY (%(id)s::uuid[])
      AND job.id = refusal.id AND job.dispatch = refusal.dispatch
      AND (job.state || '' = 'queued' AND refusal.attempt = 0 AND job.kind = refusal.kind
           AND job.queue = refusal.queue AND job.run_at <= now()
           OR job.state || '' = 'running' AND job.attempt = refusal.attempt
           AND job.worker = %(worker)s AND job.cancel_requested_at IS NULL)
      AND refusal.since > now() - refusal.patience_seconds * interval '1 second'
    RETURNING job.id, job.dispatch, job.kind, job.queue, {_LEVEL},
              job.run_at, refusal.since, refusal.why, refusal.n
), kept AS (
    INSERT INTO duly.refusals (job_id, dispatch, since, why)
    SELECT id, dispatch, since, why FROM refused
    ON CONFLICT (job_id) DO UPDATE
    SET dispatch = excluded.dispatch, since = excluded.since, why = excluded.why
), event AS (
    INSERT INTO duly.outbox_events (job_id, dispatch, kind, queue, priority, available_at)
    SELECT id, dispatch, kind, queue, level, run_at FROM refused
    ON CONFLICT (job_id) DO UPDATE
    SET dispatch = excluded.dispatch, available_at = excluded.available_at, failures = 0
)
SELECT n FROM refused
"""

# queued -> running. It need not wait for the disk (see outbox/ledger.py). A job that this very
# worker already runs is claimed again, without a new attempt: its first claim committed but the
# answer was lost with the connection. (The worker itself drops a message of a job that it is busy
# with.) Kind and time are fenced too: a message that somebody forged runs nothing early, and
# nothing as what it is not.
CLAIM = """
UPDATE duly.jobs AS job
SET state = 'running', worker = %(worker)s, started_at = now(),
    attempt = job.attempt + CASE job.state WHEN 'queued' THEN 1 ELSE 0 END
FROM unnest(%(id)s::uuid[], %(dispatch)s::int[], %(kind)s::text[])
     WITH ORDINALITY AS asked (id, dispatch, kind, n)
WHERE job.id = ANY (%(id)s::uuid[])
  AND job.id = asked.id AND job.dispatch = asked.dispatch AND job.kind = asked.kind
  AND job.run_at <= now()
  AND (job.state || '' = 'queued' OR job.state || '' = 'running' AND job.worker = %(worker)s)
RETURNING asked.n, job.attempt, job.attempt_limit, job.attempt_budget, job.subject, job.payload
"""

# running -> succeeded. The only step that a worker also takes inside an actor's transaction.
SUCCEED = """
UPDATE duly.jobs AS job
SET state = 'succeeded', finished_at = now(), result = nullif(done.result, '')::jsonb
FROM unnest(%(id)s::uuid[], %(dispatch)s::int[], %(attempt)s::int[], %(result)s::text[])
     WITH ORDINALITY AS done (id, dispatch, attempt, result, n)
WHERE job.id = ANY (%(id)s::uuid[])
  AND job.id = done.id AND job.dispatch = done.dispatch AND job.attempt = done.attempt
  AND job.worker = %(worker)s AND job.state || '' = 'running'
RETURNING done.n
"""

# running -> queued after a failed attempt; cancelled where that was asked for meanwhile.
RETRY = f"""
WITH failed AS (
    UPDATE duly.jobs AS job
    SET state = CASE WHEN job.cancel_requested_at IS NULL THEN 'queued' ELSE 'cancelled' END,
        finished_at = CASE WHEN job.cancel_requested_at IS NULL THEN NULL ELSE now() END,
        dispatch = job.dispatch + 1,
        run_at = now() + error.delay_seconds * interval '1 second'
    FROM unnest(%(id)s::uuid[], %(dispatch)s::int[], %(attempt)s::int[], %(outcome)s::text[],
                %(error_type)s::text[], %(error_message)s::text[], %(traceback)s::text[],
                %(delay_seconds)s::float8[])
         WITH ORDINALITY AS error (id, dispatch, attempt, outcome, error_type, error_message,
                                   traceback, delay_seconds, n)
    WHERE job.id = ANY (%(id)s::uuid[])
      AND job.id = error.id AND job.dispatch = error.dispatch AND job.attempt = error.attempt
      AND job.worker = %(worker)s AND job.state || '' = 'running'
    RETURNING job.id, job.state, job.dispatch, job.kind, job.queue, {_LEVEL},
              job.run_at,
              job.worker, job.started_at, error.attempt, error.outcome, error.error_type,
              error.error_message, nullif(error.traceback, '') AS traceback, error.n
), attempt AS (
    INSERT INTO duly.attempts (job_id, attempt, outcome, error_type, error_message, traceback,
                               worker, started_at)
    SELECT id, attempt, outcome, error_type, error_message, traceback, worker, started_at
    FROM failed
), event AS (
    INSERT INTO duly.outbox_events (job_id, dispatch, kind, queue, priority, available_at)
    SELECT id, dispatch, kind, queue, level, run_at FROM failed WHERE state = 'queued'
    ON CONFLICT (job_id) DO UPDATE
    SET dispatch = excluded.dispatch, available_at = excluded.available_at, failures = 0
)
SELECT n FROM failed
"""

# running -> queued with the attempt given back: snoozed, or handed back by a worker that stops.
SNOOZE = f"""
WITH snoozed AS (
    UPDATE duly.jobs AS job
    SET state = CASE WHEN job.cancel_requested_at IS NULL THEN 'queued' ELSE 'cancelled' END,
        finished_at = CASE WHEN job.cancel_requested_at IS NULL THEN NULL ELSE now() END,
        dispatch = job.dispatch + 1,
        attempt = job.attempt - 1,
        run_at = now() + nap.delay_seconds * interval '1 second'
    FROM unnest(%(id)s::uuid[], %(dispatch)s::int[], %(attempt)s::int[],
                %(delay_seconds)s::float8[])
         WITH ORDINALITY AS nap (id, dispatch, attempt, delay_seconds, n)
    WHERE job.id = ANY (%(id)s::uuid[])
      AND job.id = nap.id AND job.dispatch = nap.dispatch AND job.attempt = nap.attempt
      AND job.worker = %(worker)s AND job.state || '' = 'running'
    RETURNING job.id, job.state, job.dispatch, job.kind, job.queue, {_LEVEL},
              job.run_at, nap.n
), event AS (
    INSERT INTO duly.outbox_events (job_id, dispatch, kind, queue, priority, available_at)
    SELECT id, dispatch, kind, queue, level, run_at FROM snoozed WHERE state = 'queued'
    ON CONFLICT (job_id) DO UPDATE
    SET dispatch = excluded.dispatch, available_at = excluded.available_at, failures = 0
)
SELECT n FROM snoozed
"""

# Worker, before it repeats what may have happened: how many attempts ended uncertain since the job
# was submitted or replayed, which was after attempt `forgiven`.
COUNT_UNCERTAIN = """
SELECT asked.n, (
    SELECT count(*) FROM duly.attempts AS earlier
    WHERE earlier.job_id = asked.id AND earlier.attempt > asked.forgiven
      AND earlier.outcome = 'uncertain'
) AS uncertain
FROM unnest(%(id)s::uuid[], %(forgiven)s::int[]) WITH ORDINALITY AS asked (id, forgiven, n)
"""

# running -> dead after the last attempt, or an error not worth another; cancelled, without a
# letter, where that was asked for meanwhile: nobody wants the job any more.
DIE = """
WITH died AS (
    UPDATE duly.jobs AS job
    SET state = CASE WHEN job.cancel_requested_at IS NULL THEN 'dead' ELSE 'cancelled' END,
        finished_at = now()
    FROM unnest(%(id)s::uuid[], %(dispatch)s::int[], %(attempt)s::int[], %(reason)s::text[],
                %(outcome)s::text[], %(error_type)s::text[], %(error_message)s::text[],
                %(traceback)s::text[])
         WITH ORDINALITY AS error (id, dispatch, attempt, reason, outcome, error_type,
                                   error_message, traceback, n)
    WHERE job.id = ANY (%(id)s::uuid[])
      AND job.id = error.id AND job.dispatch = error.dispatch AND job.attempt = error.attempt
      AND job.worker = %(worker)s AND job.state || '' = 'running'
    RETURNING job.id, job.state, job.dispatch, job.kind, job.queue, job.worker, job.started_at,
              error.attempt, error.reason, error.outcome, error.error_type, error.error_message,
              nullif(error.traceback, '') AS traceback, error.n
), attempt AS (
    INSERT INTO duly.attempts (job_id, attempt, outcome, error_type, error_message, traceback,
                               worker, started_at)
    SELECT id, attempt, outcome, error_type, error_message, traceback, worker, started_at
    FROM died
), letter AS (
    INSERT INTO duly.dead_letters (job_id, dispatch, kind, queue, reason, error_type,
                                   error_message)
    SELECT id, dispatch, kind, queue, reason, error_type, error_message
    FROM died WHERE state = 'dead'
)
SELECT n FROM died
"""

# running, but its worker is silent or gone -> queued, or dead when its attempts are used up. Who is
# silent, only those can say who have listened: by the clock, after a step of it, all are. A second
# crash in a row waits a little, so that a job that kills its worker does not kill them all at once.
# `only` restricts it to some jobs, where it is not null.
RESCUE = f"""
WITH orphan AS (
    SELECT job.id
    FROM duly.jobs AS job
    LEFT JOIN duly.workers AS worker
           ON worker.name = job.worker AND worker.name <> ALL (%(silent)s::text[])
    WHERE job.state = 'running' AND worker.name IS NULL
      AND (%(only)s::uuid[] IS NULL OR job.id = ANY (%(only)s::uuid[]))
    LIMIT 1000
    FOR UPDATE OF job SKIP LOCKED
), rescued AS (
    UPDATE duly.jobs AS job
    SET state = CASE WHEN job.cancel_requested_at IS NOT NULL THEN 'cancelled'
                     WHEN job.attempt < job.attempt_limit THEN 'queued'
                     ELSE 'dead' END,
        dispatch = job.dispatch + CASE WHEN job.attempt < job.attempt_limit THEN 1 ELSE 0 END,
        run_at = now() + least(
            power(2, least(job.attempt + job.attempt_budget - job.attempt_limit - 1, 9)) - 1, 300
        ) * interval '1 second',
        finished_at = CASE WHEN job.cancel_requested_at IS NULL AND job.attempt < job.attempt_limit
                           THEN NULL ELSE now() END
    FROM orphan
    WHERE job.id = orphan.id
    RETURNING job.id, job.state, job.dispatch, job.attempt, job.kind, job.queue, {_LEVEL},
              job.run_at, job.worker, job.started_at,
              concat('its worker ', job.worker, ' stopped without a word') AS error_message
), attempt AS (
    INSERT INTO duly.attempts (job_id, attempt, outcome, error_type, error_message, worker,
                               started_at)
    SELECT id, attempt, 'crashed', 'WorkerGone', error_message, worker, started_at FROM rescued
), event AS (
    INSERT INTO duly.outbox_events (job_id, dispatch, kind, queue, priority, available_at)
    SELECT id, dispatch, kind, queue, level, run_at FROM rescued WHERE state = 'queued'
    ON CONFLICT (job_id) DO UPDATE
    SET dispatch = excluded.dispatch, available_at = excluded.available_at, failures = 0
), letter AS (
    INSERT INTO duly.dead_letters (job_id, dispatch, kind, queue, reason, error_type,
                                   error_message)
    SELECT id, dispatch, kind, queue, 'crashed', 'WorkerGone', error_message
    FROM rescued WHERE state = 'dead'
)
SELECT id, kind, worker, state FROM rescued
"""

# queued -> cancelled, at once; a running job is asked, and not run again. As in REPLAY and DISCARD
# a row of acts says who asked for it and why.
CANCEL = """
WITH cancelled AS (
    UPDATE duly.jobs
    SET state = CASE state WHEN 'queued' THEN 'cancelled' ELSE state END,
        finished_at = CASE state WHEN 'queued' THEN now() END,
        cancel_requested_at = coalesce(cancel_requested_at, now())
    WHERE id = %(id)s AND state IN ('queued', 'running')
    RETURNING id, state
), event AS (
    DELETE FROM duly.outbox_events USING cancelled WHERE job_id = cancelled.id
), record AS (
    INSERT INTO duly.acts (who, why, act, about)
    SELECT %(by)s::text, %(why)s::text, 'cancel', ARRAY['job:' || id] FROM cancelled
)
SELECT state FROM cancelled
"""

# dead -> queued with a fresh budget of attempts; the letter keeps who and why.
REPLAY = f"""
WITH letter AS (
    SELECT id, job_id, dispatch FROM duly.dead_letters
    WHERE id = ANY (%(ids)s) AND closed_at IS NULL
    ORDER BY id
    FOR UPDATE
), replayed AS (
    UPDATE duly.jobs AS job
    SET state = 'queued', dispatch = job.dispatch + 1, run_at = now(), finished_at = NULL,
        cancel_requested_at = NULL, attempt_limit = job.attempt + job.attempt_budget,
        replays = job.replays + 1
    FROM letter
    WHERE job.id = letter.job_id AND job.dispatch = letter.dispatch AND job.state = 'dead'
    RETURNING letter.id AS letter_id, job.id, job.dispatch, job.kind, job.queue,
              job.priority + {REPLAYED} AS level, job.run_at
), event AS (
    INSERT INTO duly.outbox_events (job_id, dispatch, kind, queue, priority, available_at)
    SELECT id, dispatch, kind, queue, level, run_at FROM replayed
    ON CONFLICT (job_id) DO UPDATE
    SET dispatch = excluded.dispatch, priority = excluded.priority,
        available_at = excluded.available_at, failures = 0
), closed AS (
    UPDATE duly.dead_letters AS old
    SET closed_at = now(), resolution = 'replayed', closed_by = %(by)s::text,
        close_reason = %(why)s::text
    FROM replayed
    WHERE old.id = replayed.letter_id
    RETURNING old.id, old.job_id
), record AS (
    INSERT INTO duly.acts (who, why, act, about)
    SELECT %(by)s::text, %(why)s::text, 'replay',
           array_agg('dead-letter:' || id) || array_remove(array_agg('job:' || job_id), NULL)
    FROM closed
    HAVING count(*) > 0
)
SELECT id, job_id FROM closed
"""

# The letter is closed; the job stays dead, and its history stays. Letters are locked in the same
# order as in REPLAY, so that two people's bulk actions wait for each other and do not deadlock.
DISCARD = """
WITH letter AS (
    SELECT id FROM duly.dead_letters
    WHERE id = ANY (%(ids)s) AND closed_at IS NULL
    ORDER BY id
    FOR UPDATE
), closed AS (
    UPDATE duly.dead_letters AS old
    SET closed_at = now(), resolution = 'discarded', closed_by = %(by)s::text,
        close_reason = %(why)s::text
    FROM letter
    WHERE old.id = letter.id
    RETURNING old.id, old.job_id
), record AS (
    INSERT INTO duly.acts (who, why, act, about)
    SELECT %(by)s::text, %(why)s::text, 'discard',
           array_agg('dead-letter:' || id) || array_remove(array_agg('job:' || job_id), NULL)
    FROM closed
    HAVING count(*) > 0
)
SELECT id, job_id FROM closed
"""

# Relay, from <queue>.XQ: the message's bytes join the letter that the worker wrote.
ATTACH_MESSAGE = """
UPDATE duly.dead_letters
SET message_body = %(body)s, message_headers = %(headers)s::jsonb, collected_at = now()
WHERE job_id = %(job_id)s AND dispatch = %(dispatch)s AND message_body IS NULL
RETURNING id
"""

# Worker, and relay from <queue>.XQ: messages that belong to no job of ours.
KEEP_FOREIGN = """
WITH message AS (
    SELECT * FROM unnest(%(queue)s::text[], %(error_message)s::text[], %(body)s::bytea[],
                         %(headers)s::text[])
         WITH ORDINALITY AS message (queue, error_message, body, headers, n)
), letter AS (
    INSERT INTO duly.dead_letters (queue, reason, error_type, error_message, message_body,
                                   message_headers, collected_at)
    SELECT queue, 'malformed', 'Malformed', error_message, body, headers::jsonb, now()
    FROM message
)
SELECT n FROM message
"""

# Relay, from <queue>.XQ: is there such a job at all?
JOB_EXISTS = "SELECT 1 FROM duly.jobs WHERE id = %(job_id)s"

# Relay, from <queue>.XQ: a good message that was turned away before any attempt (redelivered too
# often by dying consumers, say) is published once more.
REDISPATCH = f"""
INSERT INTO duly.outbox_events (job_id, dispatch, kind, queue, priority, available_at)
SELECT id, dispatch, kind, queue, {_LEVEL}, now() + %(delay_seconds)s * interval '1 second'
FROM duly.jobs AS job
WHERE id = %(job_id)s AND dispatch = %(dispatch)s AND kind = %(kind)s AND queue = %(queue)s
  AND state || '' = 'queued'
ON CONFLICT (job_id) DO NOTHING
RETURNING job_id
"""

# Relay: jobs that succeeded or were cancelled longer ago than the retention go, and their attempts.
# One that ever had a dead letter stays, be it open or closed: its history is kept for ever.
# A step walks a thousand jobs by their ids, which are UUIDv7: they begin with the moment when the
# job was made, and a job made within the retention cannot have ended before it. The step says how
# far it came, so that the next one does not walk again past what stays, and past index entries of
# what is gone. An index on finished_at would find these jobs too, but each success would have to
# write an entry to it, and no update that sets an indexed column can ever be HOT.
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

# Relay: rows of refusals that count no more, as the job has moved on since or has ended. It skips
# rows that a worker is just writing, so neither waits for the other.
FORGET_REFUSALS = """
WITH past AS (
    SELECT refusal.job_id
    FROM duly.refusals AS refusal
    JOIN duly.jobs AS job ON job.id = refusal.job_id
    WHERE job.dispatch > refusal.dispatch OR job.finished_at IS NOT NULL
    FOR UPDATE OF refusal SKIP LOCKED
)
DELETE FROM duly.refusals WHERE job_id = ANY (ARRAY(SELECT job_id FROM past))
"""

# Worker: I am alive. It waits for no disk, and for no standby: who waits seems to be silent.
BEAT = """
INSERT INTO duly.workers (name, queues, threads) VALUES (%(name)s, %(queues)s::jsonb, %(threads)s)
ON CONFLICT (name) DO UPDATE SET heartbeat_at = now()
RETURNING set_config('synchronous_commit', 'off', true)
"""
LEAVE = """
DELETE FROM duly.workers WHERE name = %(name)s
RETURNING set_config('synchronous_commit', 'off', true)
"""

# Relay: when was each worker last heard?
HEARTBEATS = "SELECT name, heartbeat_at FROM duly.workers"

# Relay: names of silent workers that are long gone need not be kept.
FORGET_WORKERS = """
DELETE FROM duly.workers
WHERE name = ANY (%(silent)s::text[]) AND heartbeat_at < now() - interval '1 hour'
"""
