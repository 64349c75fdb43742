"""Imports charges: reads the file, cuts it into chunks, loads them, and collects what was bad."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from io import BufferedReader
from tempfile import TemporaryFile

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from actors.importing import bad_rows
from actors.importing.charges import Charges, Fault
from actors.importing.chunks import Chunk, cut, rows_of
from actors.importing.copying import copy, encode
from actors.importing.source import Source, open_source, open_upload
from actors.tables.rows import BadFile
from outbox import Job, actor, add_to_batch, submit
from outbox.operations import batches
from outbox.operations.batches import BatchRecord
from service.documents.store import PART, documents
from service.files.keeping import WHILE_USED, keep, release, reserve
from service.imports import lifetimes, states
from service.imports.kinds import (
    FINISH_IMPORT,
    LOAD_CHUNK,
    RUN_IMPORT,
    SWEEP_IMPORTS,
    FinishImport,
    LoadChunk,
    RunImport,
    SweepImports,
)
from service.imports.lifetimes import BAD_ROWS_LIFETIME
from service.imports.models import Import, ImportChunk, State


@actor(RUN_IMPORT)
def run(work: RunImport, job: Job) -> None:
    """Cut the file into chunks, and submit a job for each, in steps.

    A file that cannot be read is refused, which is an outcome and no failure. If the process dies,
    the next attempt goes on behind the last chunk.
    """
    with job.sessions() as session:
        each = session.get_one(Import, work.import_id)
        file = open_upload(session, each)
    with file:
        reason = _cut(each, file, job)
    with job.transaction() as tx:
        done = tx.get_one(Import, each.id)
        done.reason, done.bytes_read = reason, done.received
        job.result = {"refused": reason} if reason else None


def _cut(each: Import, file: BufferedReader, job: Job) -> str | None:
    """Cut what an earlier attempt has not. Returns why the rest cannot be read, if it cannot."""
    try:
        with closing(open_source(file, each.options | (each.found or {}))) as source:
            _cut_on(each, source, job)
    except BadFile as error:
        return str(error)
    return None


def _cut_on(each: Import, source: Source, job: Job) -> None:
    """Go on behind the last step. The first one says what sort of file it is."""
    if job.checkpoint is None:
        found = source.found(each.options.get("decimal"))
        with job.step({"number": 0, "place": None}) as tx:
            tx.get_one(Import, each.id).found = found
    number: int = job.checkpoint["number"]
    for chunk in cut(source, job.checkpoint["place"]):
        number += 1
        _keep_chunk(each, number, chunk, job)
        job.progress(min(chunk.bytes_read, each.received), each.received, "reading")


def _keep_chunk(each: Import, number: int, chunk: Chunk, job: Job) -> None:
    """Store the chunk, then commit its job with the place of the next one.

    If the process dies in between, the next attempt stores the same chunk by the same name.
    """
    name = f"imports/{each.id}/chunks/{number}.json"
    size = _store(name, chunk.content, job)
    with job.step({"number": number, "place": chunk.end}) as tx:
        _keep(tx, each, name, size, "application/json")
        tx.add(ImportChunk(import_id=each.id, number=number, name=name, rows=chunk.rows))
        tx.get_one(Import, each.id).bytes_read = chunk.bytes_read
        with add_to_batch(tx, states.batch_of(each)):
            submit(tx, LOAD_CHUNK(import_id=each.id, number=number), subject=each.subject)


@actor(LOAD_CHUNK)
def load(work: LoadChunk, job: Job) -> None:
    """Make charges of the good rows of a chunk, and a document of what is wrong with the others.

    Charges, counts and completion are one commit. If the process dies before, there is none of it.
    """
    with job.sessions() as session:
        each = session.get_one(Import, work.import_id)
        name = session.get_one(ImportChunk, (work.import_id, work.number)).name
    read = _read(each, documents().get(name))
    report = f"imports/{each.id}/bad/{work.number}.csv" if read.bad else None
    size = _store(report, bad_rows.rows(read.bad), job) if report else 0
    with job.transaction() as tx:
        chunk = tx.get_one(ImportChunk, (work.import_id, work.number))
        chunk.good, chunk.bad, chunk.bad_rows = read.good, chunk.rows - read.good, report
        if report:
            _keep(tx, each, report, size, "text/csv")
        tx.flush()
        copy(tx, read.lines)


@dataclass(slots=True)
class _Read:
    """What the rows of a chunk are."""

    good: int = 0
    lines: bytearray = field(default_factory=bytearray)
    """The charges for COPY."""
    bad: list[tuple[int, Fault]] = field(default_factory=list)


def _read(each: Import, content: bytes) -> _Read:
    charges = Charges((each.found or {}).get("decimal"), each.options.get("dates"))
    read = _Read()
    for row in rows_of(content):
        charge = charges.read(row.cells)
        if isinstance(charge, tuple):
            read.good += 1
            read.lines += encode(each.id, row.line, charge)
        else:
            read.bad += ((row.line, fault) for fault in charge)
    return read


@actor(FINISH_IMPORT)
def finish(work: FinishImport, job: Job) -> None:
    """Join the bad rows of all chunks, and set how the import ended.

    It comes again if a dead job is replayed, and then replaces what it has set. If the process dies
    before the commit, the next attempt writes the same file by the same name.
    """
    with job.sessions() as session:
        found = _reports(session, work)
    name = f"imports/{work.import_id}/bad-rows.csv" if found else None
    if name:
        _reserve(name, job)
        _join(found, name)
    with job.transaction() as tx:
        each = tx.get_one(Import, work.import_id)
        each.state = _outcome(each, batches.get_of(tx, job.id))
        each.ended_at, each.bad_rows = func.now(), name
        if name:
            size = documents().size(name)
            keep(tx, name, size=size, media_type="text/csv", expires_in=BAD_ROWS_LIFETIME)
        if each.state != State.FAILED:
            release(tx, each.subject)


def _reports(session: Session, work: FinishImport) -> Sequence[str]:
    """The documents with bad rows, in the order of the chunks."""
    query = (
        select(ImportChunk.bad_rows)
        .where(ImportChunk.import_id == work.import_id, ImportChunk.bad_rows.is_not(None))
        .order_by(ImportChunk.number)
    )
    return [name for name in session.scalars(query) if name]


def _join(reports: Sequence[str], name: str) -> None:
    """Store the reports as one, by way of the disk: the store does not read while it writes."""
    with TemporaryFile() as file:
        file.write(bad_rows.head())
        for each in reports:
            file.write(documents().get(each))
        file.seek(0)
        documents().write(name, iter(partial(file.read, PART), b""))


def _outcome(each: Import, group: BatchRecord | None) -> State:
    if group and group.dead:
        return State.FAILED
    if group and (group.cancelled or group.cancelled_at):
        return State.CANCELLED
    return State.REFUSED if each.reason else State.FINISHED


@actor(SWEEP_IMPORTS)
def sweep(_: SweepImports, job: Job) -> dict[str, int]:
    """Give up uploads that nobody continues, and let go of the documents of old failures.

    If the process dies, what is left is found by the next attempt.
    """
    count = 0
    while found := _sweep_some(job):
        count += found
    return {"given_up": count}


def _sweep_some(job: Job) -> int:
    with job.sessions() as session, session.begin():
        found = lifetimes.expired(session)
        for each in found:
            if each.state == State.UPLOADING:
                states.give_up(session, each, State.EXPIRED)
            else:
                release(session, each.subject)
        return len(found)


def _store(name: str, content: bytes, job: Job) -> int:
    """Store a document that is going to be kept. Returns its size."""
    _reserve(name, job)
    documents().put(name, content)
    return len(content)


def _keep(tx: Session, each: Import, name: str, size: int, media_type: str) -> None:
    """Keep a stored document for as long as the import needs it."""
    used_by = each.subject
    keep(tx, name, size=size, media_type=media_type, expires_in=WHILE_USED, used_by=used_by)


def _reserve(name: str, job: Job) -> None:
    with job.sessions() as session, session.begin():
        reserve(session, name=name, by=f"job:{job.id}")


ACTORS = (run, load, finish, sweep)
