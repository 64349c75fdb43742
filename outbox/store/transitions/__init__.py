"""Every transition of a job: each is one SQL statement, so a crash leaves it done or not done.

    queued --claim--> running --succeed--> succeeded
       ^                 |----retry/snooze/rescue----> queued (a later dispatch)
       |                 |----die/rescue-------------> dead (a dead letter)
       |----replay-------------------------------------'
    queued --cancel/expire--> cancelled queued --bury--> dead
    running --step--> running           running --stop--> cancelled, once cancel has asked
    queued, running --put off--> queued (a later dispatch)
    queued --reschedule/debounce--> queued (a later dispatch)
    running --retry/snooze/die/rescue--> cancelled, once cancel has asked

The files, by who makes the transition, in reading order: outbox (handlers and actors submit, the
relay's main loop publishes), run (workers), untaken (relay and workers), rescue, dead_letters
and prune (the relay's maintenance), people (a person); ticks and schedules (the relay's scheduler,
and a person); batches. In flow: unique (handlers, actors and workers), rates (workers), admission
(the relay) and messages (to and of other services). levels and members hold what several share.

A transition is fenced. It names the dispatch that its caller knows (and attempt and worker, once
claimed), and does nothing if the job has moved on. Parameters are psycopg's named ones. Transitions
that workers make in groups take arrays, and return the number `n` of each row that took effect,
counted from 1. The database's clock is the only clock, except for who is silent (see RESCUE).

A statement that knows its jobs' ids tests `state || ''`, which keeps the planner off the partial
indexes by state. Beside millions of finished jobs, the statistics say that no job is queued, so the
planner would read all queued jobs: the longer the backlog, the more a claim would cost. A statement
that takes many ids also filters by `ANY` of them, besides joining. So it uses the index even when
Postgres keeps a plan that was made for a small table (see STEPS in
outbox/postgres/session_settings.py).
"""

from outbox.store.transitions.batches import (
    CANCEL_MEMBERS,
    CHANGED_BATCHES,
    FOLD,
    LOCK_BATCHES,
    SUBMIT_MEMBERS,
)
from outbox.store.transitions.dead_letters import (
    ATTACH_MESSAGE,
    JOB_EXISTS,
    KEEP_FOREIGN,
    REDISPATCH,
)
from outbox.store.transitions.flow.admission import (
    ADMIT,
    ADMIT_FIRST,
    COUNT_HOLDERS,
    HOLDERS,
    KEYED_QUEUES,
    SCAN_KEYS,
    SWEEP_HOLDERS,
    TRY_LOCK_KEYS,
)
from outbox.store.transitions.flow.messages import (
    BURY_MESSAGE,
    COUNT_DELIVERY,
    DEFER_MESSAGES,
    KEEP_SENT,
    LOCK_MESSAGES,
    MESSAGES_WAIT,
    PRUNE_MESSAGES,
    PRUNE_RECEIVED,
    PUBLISH,
    RECEIVE,
    REPLAY_MESSAGES,
    RESEND,
)
from outbox.store.transitions.flow.rates import (
    CLAIM_RATED,
    CLAIM_UNIQUE_RATED,
    PRUNE_CLOCKS,
    RATE_LIMITED,
    READ_CLOCKS,
    READ_LIMITS,
)
from outbox.store.transitions.flow.unique import (
    CLAIM_UNIQUE,
    CLAIM_UNIQUE_LIMITED,
    DEBOUNCE,
    PRUNE_UNIQUE_KEYS,
    SUBMIT_UNIQUE,
)
from outbox.store.transitions.levels import REPLAYED
from outbox.store.transitions.outbox import (
    DEFER_EVENTS,
    DELETE_EVENTS,
    LOCK_EVENTS,
    QUEUES_IN_USE,
    REDISPATCH_LOST,
    SUBMIT,
    SUBMIT_ALL,
    SUBMIT_KEYED,
    TRACES_OF,
)
from outbox.store.transitions.people import (
    CANCEL,
    CLEAR_LIMIT,
    DISCARD,
    PAUSE_QUEUE,
    REPLAY,
    RESCHEDULE,
    RESUME_QUEUE,
    SET_LIMIT,
)
from outbox.store.transitions.prune import PRUNE, PRUNE_BATCHES, PRUNE_LETTERS, PRUNE_REFUSALS
from outbox.store.transitions.rescue import (
    DEREGISTER_WORKER,
    PRUNE_WORKERS,
    READ_HEARTBEATS,
    RECORD_HEARTBEAT,
    RESCUE,
)
from outbox.store.transitions.run import (
    CLAIM,
    CLAIM_LIMITED,
    COUNT_UNCERTAIN,
    DIE,
    JOBS_TO_CANCEL,
    RETRY,
    SAVE_PROGRESS,
    SNOOZE,
    STEP,
    STOP,
    SUCCEED,
    SUCCEED_MEMBER,
)
from outbox.store.transitions.schedules import (
    CREATE_SCHEDULE,
    DECLARE_SCHEDULE,
    DELETE_SCHEDULE,
    EDIT_SCHEDULE,
    LOCK_RETIRED,
    PAUSE_SCHEDULE,
    RESUME_SCHEDULE,
    RETIRE_SCHEDULES,
)
from outbox.store.transitions.ticks import (
    LIST_UNMADE,
    MAKE_TICKS,
    MAKE_WAITING,
    NEXT_TICKS,
    PRUNE_TICKS,
    SKIP_TICKS,
    TICK,
    WAITING_SCHEDULES,
)
from outbox.store.transitions.untaken import DIE_UNCLAIMED, EXPIRE, POSTPONE

__all__ = [
    "ADMIT",
    "ADMIT_FIRST",
    "ATTACH_MESSAGE",
    "BURY_MESSAGE",
    "CANCEL",
    "CANCEL_MEMBERS",
    "CHANGED_BATCHES",
    "CLAIM",
    "CLAIM_LIMITED",
    "CLAIM_RATED",
    "CLAIM_UNIQUE",
    "CLAIM_UNIQUE_LIMITED",
    "CLAIM_UNIQUE_RATED",
    "CLEAR_LIMIT",
    "COUNT_DELIVERY",
    "COUNT_HOLDERS",
    "COUNT_UNCERTAIN",
    "CREATE_SCHEDULE",
    "DEBOUNCE",
    "DECLARE_SCHEDULE",
    "DEFER_EVENTS",
    "DEFER_MESSAGES",
    "DELETE_EVENTS",
    "DELETE_SCHEDULE",
    "DEREGISTER_WORKER",
    "DIE",
    "DIE_UNCLAIMED",
    "DISCARD",
    "EDIT_SCHEDULE",
    "EXPIRE",
    "FOLD",
    "HOLDERS",
    "JOBS_TO_CANCEL",
    "JOB_EXISTS",
    "KEEP_FOREIGN",
    "KEEP_SENT",
    "KEYED_QUEUES",
    "LIST_UNMADE",
    "LOCK_BATCHES",
    "LOCK_EVENTS",
    "LOCK_MESSAGES",
    "LOCK_RETIRED",
    "MAKE_TICKS",
    "MAKE_WAITING",
    "MESSAGES_WAIT",
    "NEXT_TICKS",
    "PAUSE_QUEUE",
    "PAUSE_SCHEDULE",
    "POSTPONE",
    "PRUNE",
    "PRUNE_BATCHES",
    "PRUNE_CLOCKS",
    "PRUNE_LETTERS",
    "PRUNE_MESSAGES",
    "PRUNE_RECEIVED",
    "PRUNE_REFUSALS",
    "PRUNE_TICKS",
    "PRUNE_UNIQUE_KEYS",
    "PRUNE_WORKERS",
    "PUBLISH",
    "QUEUES_IN_USE",
    "RATE_LIMITED",
    "READ_CLOCKS",
    "READ_HEARTBEATS",
    "READ_LIMITS",
    "RECEIVE",
    "RECORD_HEARTBEAT",
    "REDISPATCH",
    "REDISPATCH_LOST",
    "REPLAY",
    "REPLAYED",
    "REPLAY_MESSAGES",
    "RESCHEDULE",
    "RESCUE",
    "RESEND",
    "RESUME_QUEUE",
    "RESUME_SCHEDULE",
    "RETIRE_SCHEDULES",
    "RETRY",
    "SAVE_PROGRESS",
    "SCAN_KEYS",
    "SET_LIMIT",
    "SKIP_TICKS",
    "SNOOZE",
    "STEP",
    "STOP",
    "SUBMIT",
    "SUBMIT_ALL",
    "SUBMIT_KEYED",
    "SUBMIT_MEMBERS",
    "SUBMIT_UNIQUE",
    "SUCCEED",
    "SUCCEED_MEMBER",
    "SWEEP_HOLDERS",
    "TICK",
    "TRACES_OF",
    "TRY_LOCK_KEYS",
    "WAITING_SCHEDULES",
]
