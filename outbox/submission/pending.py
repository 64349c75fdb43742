"""The jobs of a session that wait for its commit, each in the transaction that it was submitted in.

What a job's fate is, SQLAlchemy's events say: a savepoint that is released hands its jobs to the
transaction around it, one that ends otherwise drops them, and the commit of the outermost one
writes them, all in one statement. A flush does not: `flush()` skips a session without changed rows,
and an autoflush would cost each SELECT a round trip.

The listeners are those of the class Session, registered at import. Listeners of single sessions
would change SQLAlchemy's registry while other threads use it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from pydantic_core import to_json
from sqlalchemy import Connection, TwoPhaseTransaction, event
from sqlalchemy.orm import Session, SessionTransaction

from outbox.postgres.any_driver import execute
from outbox.postgres.session_connections import connections, left_open
from outbox.postgres.transaction_items import TransactionItems
from outbox.store import transitions
from outbox.submission.job_connection import JobConnection, Submission
from outbox.submission.own_commits import LeftJobs, refuse_own_commits
from outbox.submission.rows import Row, UniqueRow, one_of_each_key
from outbox.submission.wake_up import NOTIFY, NOTIFY_KEYS
from outbox.submission.wake_up_sender import wake_up

PENDING = "duly.pending"
"""In `Session.info`: the `Pending` of the outermost transaction."""

WAKE_UP = "duly.wake_up"
"""In `Session.info`: a function that takes a notification for the relays, if the session should not
send it."""

UNSAID: Row = dict.fromkeys(
    ("run_at", "expires_at", "subject", "parent_id", "submitted_by", "trace")
)


@dataclass(slots=True)
class Pending:
    """What a session's outermost transaction has to do for its jobs. It ends with it."""

    jobs: TransactionItems[Row] = field(default_factory=TransactionItems)
    is_committing: bool = False
    """Whether the commit of the whole has begun, and written the jobs."""
    commits_in_savepoint: int = 0
    """How many commits have begun while a savepoint was open, less the savepoints released."""
    released: SessionTransaction | None = None
    """The savepoint that was released last."""
    connection: Connection | None = None
    """Where something was written that the relays wait for."""
    notifications: set[str] = field(default_factory=set)
    """What they are told of it after the commit."""

    def write(self, session: Session) -> None:
        """Write the jobs that wait. If it raises, they go on waiting."""
        if self.jobs:
            rows = [*self.jobs]
            self.wrote(_write(session, rows), rows)
            self.jobs.clear()

    def wrote(self, connection: Connection, rows: Sequence[Row]) -> None:
        """These rows were written, so the relays are to be told."""
        self.connection = connection
        self.notifications |= {NOTIFY_KEYS if row.get("keys") else NOTIFY for row in rows}

    def flush(self, session: Session) -> None:
        """Write the jobs that were submitted in the session's savepoint, or outermost transaction.

        The others of a savepoint are not: they would be rolled back with it.
        """
        if rows := self.jobs.of(session):
            self.wrote(session.connection(), rows)
            _write_now(session.connection(), rows)
            self.jobs.remove(rows)

    def release(self, savepoint: SessionTransaction) -> None:
        """Hand the savepoint's jobs to the transaction around it."""
        self.released = savepoint
        self.jobs.release(savepoint)


def add(session: Session, rows: Sequence[Row], *, may_write: bool) -> None:
    """Have these jobs wait for the session's commit; begin a transaction as `session.add` does.

    In the midst of a commit (a listener of the application's submits) they are written at once, if
    the caller says that it may. Raises what a statement would if the session can run none.
    """
    if not session.is_active or not (session.autobegin or session.in_transaction()):
        session.connection()  # has SQLAlchemy raise
    if not session.in_transaction():
        session.begin()
    pending = _pending(session)
    if may_write and (pending.is_committing or pending.commits_in_savepoint):
        pending.wrote(_write(session, rows), rows)
        return
    if not pending.jobs:
        for connection in connections(session):
            refuse_own_commits(connection, pending.jobs)
    pending.jobs.add(session, rows)


def waiting(session: Session) -> list[Row]:
    """The jobs that wait for the session's commit, in order."""
    pending: Pending | None = session.info.get(PENDING)
    return [*pending.jobs] if pending else []


def flush_jobs(session: Session) -> None:
    """Write the jobs that wait now, in one round trip, instead of with the commit.

    For who has to know at once whether a job of a unique kind is a duplicate. Within a savepoint,
    it writes those that were submitted in it. An AsyncSession does it by
    `await session.run_sync(flush_jobs)`. If it raises one of SQLAlchemy's errors, the transaction,
    or savepoint, has to be rolled back, as after a failed `flush()`.
    """
    pending: Pending | None = session.info.get(PENDING)
    if pending:
        pending.flush(session)


def submissions(rows: Sequence[Row], *, as_json: bool = False) -> list[Submission]:
    """The transitions that write all rows, in order, with JSON alone if that is asked for.

    Those of unique kinds come last: they lock the keys, and others may wait for that. JSON is
    written in ASCII, which is valid in any client_encoding.
    """
    if all(type(row) is dict and "exchange" not in row for row in rows):
        return [_plain(rows, as_json=as_json)]
    unique = [row for row in rows if isinstance(row, UniqueRow)]
    messages = [row for row in rows if is_message(row)]
    plain = [row for row in rows if not isinstance(row, UniqueRow) and not is_message(row)]
    return [
        *([_plain(plain, as_json=as_json)] if plain else []),
        *([_messages(messages)] if messages else []),
        *(_unique(unique) if unique else []),
    ]


def is_job(row: Row) -> bool:
    """Whether the row is a job, and no batch or message."""
    return "kind" in row


def is_message(row: Row) -> bool:
    """Whether the row is a message to another service."""
    return "exchange" in row


def wake_up_after_commit(session: Session) -> None:
    """Wake the relays up once the session has committed: a statement of it wrote events."""
    pending = _pending(session)
    pending.connection = session.connection()
    pending.notifications |= {NOTIFY, NOTIFY_KEYS}


def _pending(session: Session) -> Pending:
    found: Pending | None = session.info.get(PENDING)
    if found is None:
        found = session.info[PENDING] = Pending()
    return found


@event.listens_for(Session, "after_begin")
def _after_begin(session: Session, _: SessionTransaction, connection: Connection) -> None:
    pending: Pending | None = session.info.get(PENDING)
    if pending and pending.jobs:
        refuse_own_commits(connection, pending.jobs)


@event.listens_for(Session, "before_commit")
def _before_commit(session: Session) -> None:
    """Write the jobs if the whole commits. While a savepoint is open, nobody says which does."""
    pending = _pending(session)
    if session.in_nested_transaction():
        pending.commits_in_savepoint += 1
    else:
        pending.is_committing = True
        pending.write(session)


@event.listens_for(Session, "after_commit")
def _after_commit(session: Session) -> None:
    pending = _pending(session)
    if savepoint := session.get_nested_transaction():
        pending.commits_in_savepoint -= 1
        pending.release(savepoint)
    elif pending.connection and not pending.connection.in_transaction():  # it may be part of one
        _wake_up(session, pending.connection, pending.notifications)


@event.listens_for(Session, "after_transaction_end", insert=True)  # before `connections` forgets
def _after_transaction_end(session: Session, transaction: SessionTransaction) -> None:
    """Drop what was not committed.

    Where the session was closed in a transaction of somebody else's, its rows are still there: that
    transaction must not commit without the jobs.

    A commit of the whole first releases the savepoints that are still open. When the last one has
    ended, that commit is still counted, and nothing else will write the jobs.
    """
    pending: Pending | None = session.info.get(PENDING)
    if pending is None:
        return
    if transaction.parent is None:
        if pending.jobs:
            for connection in left_open(session):
                refuse_own_commits(connection, LeftJobs(connection, len(pending.jobs)))
        pending.jobs.clear()
        del session.info[PENDING]
    elif transaction.nested:
        pending.jobs.drop(transaction)
        is_last = transaction is pending.released and not session.in_nested_transaction()
        if is_last and pending.commits_in_savepoint:
            pending.write(session)


def _wake_up(session: Session, connection: Connection, notifications: Iterable[str]) -> None:
    own: Callable[[str], None] | None = session.info.get(WAKE_UP)
    for each in notifications:
        if own:
            own(each)
        else:
            wake_up(connection, each)


def _write(session: Session, rows: Sequence[Row]) -> Connection:
    """Write these jobs now, or leave them to a JobConnection, which sends them with the COMMIT.

    Returns the connection. Raises SQLAlchemy's errors.
    """
    connection = session.connection()
    if job_connection := _job_connection(session, connection):
        job_connection.buffer(submissions(rows))
    else:
        _write_now(connection, rows)
    return connection


def _write_now(connection: Connection, rows: Sequence[Row]) -> None:
    is_psycopg = connection.dialect.driver.startswith("psycopg")
    for each in submissions(rows, as_json=not is_psycopg):
        answer = execute(connection, each.transition, each.parameters)
        if each.unique:
            each.tell(answer)


def _job_connection(session: Session, connection: Connection) -> JobConnection | None:
    """The driver's connection, if the session's commit is the next thing that it will send."""
    driver = connection.connection.driver_connection
    may_buffer = (
        isinstance(driver, JobConnection)
        and not driver.autocommit
        and connection.in_transaction()
        and not connection.in_nested_transaction()
        and not isinstance(connection.get_transaction(), TwoPhaseTransaction)
        and not isinstance(session.get_bind(), Connection)  # which may be in somebody else's
    )
    return driver if may_buffer else None


def _plain(rows: Sequence[Row], *, as_json: bool) -> Submission:
    if any("batch_id" in row for row in rows):
        return Submission(transitions.SUBMIT_MEMBERS, _with_batches(rows))
    if any("keys" in row for row in rows):
        return Submission(transitions.SUBMIT_KEYED, {"jobs": _as_json(rows)})
    if len(rows) == 1 and not as_json:
        return Submission(transitions.SUBMIT, UNSAID | rows[0])
    return Submission(transitions.SUBMIT_ALL, {"jobs": _as_json(rows)})


def _messages(rows: Sequence[Row]) -> Submission:
    return Submission(transitions.PUBLISH, {"messages": _as_json(rows)})


def _unique(rows: Sequence[UniqueRow]) -> Iterator[Submission]:
    """One job of each key, then what debounces those that there were already."""
    jobs: Row = {"jobs": _as_json(one_of_each_key(rows))}
    yield Submission(transitions.SUBMIT_UNIQUE, jobs, rows)
    if any(row["debounce_seconds"] is not None for row in rows):
        yield Submission(transitions.DEBOUNCE, jobs)


def _with_batches(rows: Sequence[Row]) -> Row:
    batches: dict[str | None, Row] = {}
    for row in rows:
        if not is_job(row):
            unsaid: Row = {"id": row["batch_id"], "is_new": "false", "is_sealed": "false"}
            batches.setdefault(row["batch_id"], unsaid).update(row)
    jobs = [row for row in rows if is_job(row)]
    return {"jobs": _as_json(jobs), "batches": _as_json([*batches.values()])}


def _as_json(rows: Sequence[Row]) -> str:
    return to_json(rows, ensure_ascii=True).decode()
