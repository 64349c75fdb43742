"""Batches, and what is yet to be counted in them."""

from sqlalchemy import (
    DDL,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    Table,
    Text,
    Uuid,
    event,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from outbox.store.schema.columns import among, metadata, timestamp


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
    timestamp("created_at", now=True),
    timestamp("sealed_at"),
    timestamp("first_death_at"),
    timestamp("cancelled_at"),
    timestamp("settled_at"),
    CheckConstraint(among("outcome", ("succeeded", "dead", "cancelled")), name="batches_outcome"),
    Index("batches_by_parent", "parent_id", postgresql_where=text("parent_id IS NOT NULL")),
    Index("batches_open", "id", postgresql_where=text("settled_at IS NULL")),
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
