"""The library's tables, in a Postgres schema of their own; outbox/migrations makes them.

There are no foreign keys between them: each transition writes its rows in one statement, and a key
check on the hot path would cost every job a lookup and a row lock. `jobs` has no CHECK constraints
either: Postgres reads them anew for every statement that writes a row.
"""

from sqlalchemy import (
    DDL,
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    Uuid,
    event,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

SCHEMA = "duly"

metadata = MetaData(schema=SCHEMA)


def _timestamp(name: str, *, now: bool = False) -> "Column[object]":
    return Column(
        name,
        DateTime(timezone=True),
        nullable=not now,
        server_default=func.now() if now else None,
    )


def _in(column: str, values: tuple[object, ...]) -> str:
    return f"{column} IN ({', '.join(repr(value) for value in values)})"


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
    _timestamp("created_at", now=True),
    _timestamp("run_at", now=True),
    _timestamp("started_at"),
    _timestamp("cancel_requested_at"),
    _timestamp("finished_at"),
    Column("progress", JSONB),
    Column("checkpoint", JSONB),
    _timestamp("expires_at"),
    Column("cancel_reason", Text),
    Index("jobs_by_subject", "subject", postgresql_where=text("subject IS NOT NULL")),
    Index("jobs_by_parent", "parent_id", "id", postgresql_where=text("parent_id IS NOT NULL")),
    Index(
        "jobs_expiring",
        "expires_at",
        postgresql_where=text("state = 'queued' AND started_at IS NULL AND expires_at IS NOT NULL"),
    ),
    Index("jobs_queued", "run_at", postgresql_where=text("state = 'queued'")),
    Index("jobs_running", "worker", postgresql_where=text("state = 'running'")),
    Index(
        "jobs_to_cancel",
        "worker",
        postgresql_where=text("state = 'running' AND cancel_requested_at IS NOT NULL"),
    ),
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
    Index("outbox_events_in_order", "queue", "priority", "available_at"),
)

publications = Table(
    "publications",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("queue", Text, nullable=False),
    _timestamp("published_at", now=True),
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
    _timestamp("started_at"),
    _timestamp("finished_at", now=True),
    CheckConstraint(
        _in("outcome", ("failed", "timed_out", "crashed", "uncertain")), name="attempts_outcome"
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
    _timestamp("died_at", now=True),
    _timestamp("collected_at"),
    _timestamp("closed_at"),
    Column("resolution", Text),
    Column("closed_by", Text),
    Column("close_reason", Text),
    CheckConstraint(_in("resolution", ("replayed", "discarded")), name="dead_letters_resolution"),
    Index(
        "dead_letters_by_dispatch",
        "job_id",
        "dispatch",
        unique=True,
        postgresql_where=text("job_id IS NOT NULL"),
    ),
    Index("dead_letters_open", "id", postgresql_where=text("closed_at IS NULL")),
)

schedules = Table(
    "schedules",
    metadata,
    Column("name", Text, primary_key=True),
    Column("source", Text, nullable=False),
    Column("cron", Text, nullable=False),
    Column("zone", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("queue", Text, nullable=False),
    Column("priority", SmallInteger, nullable=False),
    Column("payload", JSONB, nullable=False),
    Column("attempt_budget", Integer, nullable=False),
    Column("subject", Text),
    Column("overlap", Text, nullable=False),
    Column("missed", Text, nullable=False),
    Column("catch_up_seconds", Integer, nullable=False),
    Column("jitter_seconds", Integer, nullable=False),
    Column("version", Integer, nullable=False, server_default=text("1")),
    # The earliest tick that is not in `ticks`; NULL if none will come.
    _timestamp("next_due_at"),
    _timestamp("paused_at"),
    _timestamp("created_at", now=True),
    _timestamp("updated_at", now=True),
    _timestamp("deleted_at"),
    CheckConstraint(_in("source", ("code", "runtime")), name="schedules_source"),
    Index("schedules_due", "next_due_at"),
)

ticks = Table(
    "ticks",
    metadata,
    Column("schedule", Text, primary_key=True),
    Column("due_at", DateTime(timezone=True), primary_key=True),
    Column("outcome", Text, nullable=False),
    Column("why", Text),
    Column("job_id", Uuid),
    _timestamp("recorded_at", now=True),
    CheckConstraint(_in("outcome", ("made", "waiting", "skipped")), name="ticks_outcome"),
    Index("ticks_made", "schedule", "due_at", postgresql_where=text("job_id IS NOT NULL")),
    Index("ticks_waiting", "schedule", "due_at", postgresql_where=text("outcome = 'waiting'")),
)

workers = Table(
    "workers",
    metadata,
    Column("name", Text, primary_key=True),
    Column("queues", JSONB, nullable=False),
    Column("threads", Integer, nullable=False),
    Column("tasks", Integer, nullable=False, server_default=text("0")),
    _timestamp("started_at", now=True),
    _timestamp("heartbeat_at", now=True),
)

acts = Table(
    "acts",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    _timestamp("at", now=True),
    Column("who", Text, nullable=False),
    Column("why", Text),
    Column("act", Text, nullable=False),
    Column("about", ARRAY(Text), nullable=False),
    CheckConstraint(r"who ~ '\S'", name="acts_who"),
    Index("acts_by_thing", "about", postgresql_using="gin"),
)

APPEND_ONLY = """
CREATE FUNCTION duly.refuse_to_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the record of acts is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER acts_stay
BEFORE UPDATE OR DELETE OR TRUNCATE ON duly.acts
FOR EACH STATEMENT EXECUTE FUNCTION duly.refuse_to_change()
"""
event.listen(acts, "after_create", DDL(APPEND_ONLY))  # type: ignore[no-untyped-call]

api_keys = Table(
    "api_keys",
    metadata,
    Column("prefix", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("secret_hash", LargeBinary, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    _timestamp("created_at", now=True),
    _timestamp("expires_at"),
    _timestamp("revoked_at"),
)
"""API keys. Only the hash of a key's secret is kept."""

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("caller", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("status", Integer, nullable=False),
    Column("headers", JSONB, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Index("idempotency_keys_expires_at_ix", "expires_at"),
)
"""The first answer to each POST that had an Idempotency-Key."""

migrations = Table(
    "migrations",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    _timestamp("applied_at", now=True),
)
"""The versions of these tables that the database has had: see outbox/migrations."""
