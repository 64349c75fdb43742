"""Jobs, their way to a worker, and what became of their attempts."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    Interval,
    LargeBinary,
    PrimaryKeyConstraint,
    Sequence,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from outbox.store.schema.columns import SCHEMA, among, metadata, timestamp

positions = Sequence("positions", schema=SCHEMA, metadata=metadata)
"""Where ordered jobs are in the order of their key."""

jobs = Table(
    "jobs",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("queue", Text, nullable=False),
    Column("priority", SmallInteger, nullable=False),
    Column("payload", JSONB, nullable=False),
    Column("state", Text, nullable=False, server_default="queued"),
    Column("dispatch", Integer, nullable=False, server_default="1"),
    Column("attempt", Integer, nullable=False, server_default="0"),
    Column("attempt_limit", Integer, nullable=False),
    Column("attempt_budget", Integer, nullable=False),
    Column("replays", SmallInteger, nullable=False, server_default=text("0")),
    Column("worker", Text),
    Column("result", JSONB),
    Column("subject", Text),
    Column("parent_id", Uuid),
    Column("submitted_by", Text),
    Column("batch_id", Uuid),
    timestamp("created_at", now=True),
    timestamp("run_at", now=True),
    timestamp("started_at"),
    timestamp("cancel_requested_at"),
    timestamp("finished_at"),
    Column("progress", JSONB),
    Column("checkpoint", JSONB),
    timestamp("expires_at"),
    Column("cancel_reason", Text),
    Column("keys", ARRAY(Text)),
    Column("position", BigInteger),
    # W3C trace context: of the span in which the job was submitted, and of its last attempt that is
    # on record. Both are null where nobody traces.
    Column("trace", Text),
    Column("attempt_trace", Text),
    Index("jobs_by_subject", "subject", postgresql_where=text("subject IS NOT NULL")),
    Index("jobs_by_parent", "parent_id", "id", postgresql_where=text("parent_id IS NOT NULL")),
    Index(
        "jobs_expiring",
        "expires_at",
        postgresql_where=text("state = 'queued' AND started_at IS NULL AND expires_at IS NOT NULL"),
    ),
    Index("jobs_queued_by_time", "run_at", "id", postgresql_where=text("state = 'queued'")),
    Index("jobs_running", "worker", postgresql_where=text("state = 'running'")),
    Index(
        "jobs_to_cancel",
        "worker",
        postgresql_where=text("state = 'running' AND cancel_requested_at IS NOT NULL"),
    ),
    Index(
        "jobs_dead_or_cancelled",
        "state",
        "id",
        postgresql_where=text("state IN ('dead', 'cancelled')"),
    ),
    Index("jobs_by_batch", "batch_id", "id", postgresql_where=text("batch_id IS NOT NULL")),
)

outbox_events = Table(
    "outbox_events",
    metadata,
    Column("job_id", Uuid, primary_key=True),
    Column("dispatch", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("queue", Text, nullable=False),
    # The job's, plus 3 if it was ever replayed: the relay gives fresh jobs more capacity.
    Column("priority", SmallInteger, nullable=False),
    Column("available_at", DateTime(timezone=True), nullable=False),
    Column("failures", SmallInteger, nullable=False, server_default=text("0")),
    # Those that it waits for; null once it may be published.
    Column("keys", ARRAY(Text)),
    Column("position", BigInteger),
    Index(
        "outbox_events_to_publish",
        "queue",
        "priority",
        "available_at",
        postgresql_where=text("keys IS NULL"),
    ),
    Index(
        "outbox_events_to_admit",
        "queue",
        "priority",
        "kind",
        "keys",
        "available_at",
        postgresql_where=text("keys IS NOT NULL"),
    ),
    Index(
        "outbox_events_by_position",
        text("(keys[1])"),
        "position",
        postgresql_where=text("position IS NOT NULL AND keys IS NOT NULL"),
    ),
)

key_holders = Table(
    "key_holders",
    metadata,
    Column("key", Text, nullable=False),
    Column("job_id", Uuid, nullable=False),
    Column("dispatch", Integer, nullable=False),
    timestamp("admitted_at", now=True),
    PrimaryKeyConstraint("job_id", "key"),
    Index("key_holders_by_key", "key"),
)
"""The jobs that were admitted under a key.

A row counts while its job has this dispatch and is queued or running. If the kind holds its keys,
it counts for a dead job, too, until its letter is closed.
"""

key_clocks = Table(
    "key_clocks",
    metadata,
    Column("key", Text, primary_key=True),
    Column("tat", DateTime(timezone=True), nullable=False),
    timestamp("not_before"),
)
"""The clocks of keys that have a rate: see outbox/store/transitions/flow/rates.py."""

publications = Table(
    "publications",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("queue", Text, nullable=False),
    timestamp("published_at", now=True),
    Column("job_ids", ARRAY(Uuid), nullable=False),
    Column("dispatches", ARRAY(Integer), nullable=False),
    Index("publications_in_order", "queue", "id"),
)

attempts = Table(
    "attempts",
    metadata,
    Column("job_id", Uuid, primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("outcome", Text, nullable=False),
    Column("error_type", Text, nullable=False),
    Column("error_message", Text, nullable=False),
    Column("traceback", Text),
    Column("worker", Text),
    timestamp("started_at"),
    timestamp("finished_at", now=True),
    CheckConstraint(
        among("outcome", ("failed", "timed_out", "crashed", "uncertain")), name="attempts_outcome"
    ),
)

refusals = Table(
    "refusals",
    metadata,
    Column("job_id", Uuid, primary_key=True),
    Column("dispatch", Integer, nullable=False),
    Column("since", DateTime(timezone=True), nullable=False),
    Column("why", Text, nullable=False),
)
"""Jobs that workers do not know how to run: when they first refused, and why.

A row no longer counts once the job has another dispatch.
"""

unique_keys = Table(
    "unique_keys",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("job_id", Uuid, nullable=False),
    Column("until", Text, nullable=False),
    Column("period", Interval),
    timestamp("taken_at", now=True),
    Index("unique_keys_by_job", "job_id"),
)
"""Which job holds each key of a unique kind, or held it last.

`until` is when it lets go: `started`, `ended` or, after `period`, `period`.
"""

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("job_id", Uuid),
    Column("dispatch", Integer),
    Column("kind", Text),
    Column("queue", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("error_type", Text),
    Column("error_message", Text),
    Column("message_body", LargeBinary),
    Column("message_headers", JSONB),
    timestamp("died_at", now=True),
    timestamp("collected_at"),
    timestamp("closed_at"),
    Column("resolution", Text),
    Column("closed_by", Text),
    Column("close_reason", Text),
    # The message to another service that could not be published.
    Column("outgoing_id", Uuid),
    # Best effort: see outbox/operations/dead_letters.py.
    timestamp("looked_at"),
    CheckConstraint(among("resolution", ("replayed", "discarded")), name="dead_letters_resolution"),
    Index(
        "dead_letters_by_dispatch",
        "job_id",
        "dispatch",
        unique=True,
        postgresql_where=text("job_id IS NOT NULL"),
    ),
    Index(
        "dead_letters_by_message",
        "outgoing_id",
        postgresql_where=text("outgoing_id IS NOT NULL"),
    ),
    Index("dead_letters_open", "id", postgresql_where=text("closed_at IS NULL")),
    Index("dead_letters_open_by_queue", "queue", postgresql_where=text("closed_at IS NULL")),
    Index(
        "dead_letters_closed",
        "closed_at",
        "id",
        postgresql_where=text("closed_at IS NOT NULL"),
    ),
    Index(
        "dead_letters_unseen",
        "died_at",
        postgresql_where=text("closed_at IS NULL AND looked_at IS NULL"),
    ),
)
