"""The library's tables, in a Postgres schema of their own; outbox/migrations makes them.

There are no foreign keys between them: each transition writes its rows in one statement, and a key
check on the hot path would cost every job a lookup and a row lock. `jobs` has no CHECK constraints
either: Postgres reads them anew for every statement that writes a row.
"""

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
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
    Column("batch_id", Uuid),
    _timestamp("created_at", now=True),
    _timestamp("run_at", now=True),
    _timestamp("started_at"),
    _timestamp("cancel_requested_at"),
    _timestamp("finished_at"),
    Index("jobs_by_subject", "subject", postgresql_where=text("subject IS NOT NULL")),
    Index("jobs_queued", "run_at", postgresql_where=text("state = 'queued'")),
    Index("jobs_running", "worker", postgresql_where=text("state = 'running'")),
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

workers = Table(
    "workers",
    metadata,
    Column("name", Text, primary_key=True),
    Column("queues", JSONB, nullable=False),
    Column("threads", Integer, nullable=False),
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


def _count(name: str, start: int = 0) -> "Column[object]":
    return Column(name, Integer, nullable=False, server_default=text(str(start)))


batches = Table(
    "batches",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("parent_id", Uuid),
    _count("generation", 1),
    _count("members"),
    _count("succeeded"),
    _count("dead"),
    _count("cancelled"),
    Column("outcome", Text),
    Column("on_success", JSONB),
    Column("on_settled", JSONB),
    Column("on_first_death", JSONB),
    Column("subject", Text),
    Column("submitted_by", Text),
    _timestamp("created_at", now=True),
    _timestamp("sealed_at"),
    _timestamp("first_death_at"),
    _timestamp("cancelled_at"),
    _timestamp("settled_at"),
    CheckConstraint(_in("outcome", ("succeeded", "dead", "cancelled")), name="batches_outcome"),
    Index("batches_by_parent", "parent_id", postgresql_where=text("parent_id IS NOT NULL")),
    Index(
        "batches_to_cancel",
        "id",
        postgresql_where=text("cancelled_at IS NOT NULL AND settled_at IS NULL"),
    ),
)
"""Jobs and other batches, counted together. Only FOLD changes the counts.

What a parent counts as its member's end is `outcome`.
"""

batch_changes = Table(
    "batch_changes",
    metadata,
    Column("batch_id", Uuid, primary_key=True),
    Column("id", Uuid, primary_key=True, server_default=func.gen_random_uuid()),
    _count("added"),
    _count("succeeded"),
    _count("dead"),
    _count("cancelled"),
    Column("reopens", Boolean, nullable=False, server_default=text("false")),
)
"""Changes of the counts that are yet to be added up. Rows are only added, and deleted by FOLD."""

batch_callbacks = Table(
    "batch_callbacks",
    metadata,
    Column("batch_id", Uuid, primary_key=True),
    Column("generation", Integer, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("job_id", Uuid, nullable=False),
    Index("batch_callbacks_by_job", "job_id", unique=True),
)
"""The callbacks of each generation, and the job of each."""

REFUSE = """
CREATE FUNCTION duly.refuse(why text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%%', why USING ERRCODE = 'check_violation';
END $$
"""
event.listen(batches, "after_create", DDL(REFUSE))  # type: ignore[no-untyped-call]

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
