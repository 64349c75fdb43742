"""The jobs of a session that wait for its commit, each in the transaction that it was submitted in.

What a job's fate is, SQLAlchemy's events say: a savepoint that is released hands its jobs to the
transaction around it, one that ends otherwise drops them, and the commit of the outermost one
writes them, all in one statement. A flush does not: `flush()` skips a session without changed rows,
and an autoflush would cost each SELECT a round trip.

The listeners are those of the class Session, registered at import. Listeners of single sessions
would change SQLAlchemy's registry while other threads use it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pydantic_core import to_json
from sqlalchemy import Connection, TwoPhaseTransaction, event
from sqlalchemy.orm import Session, SessionTransaction

from outbox.postgres.any_driver import execute
from outbox.postgres.session_connections import connections, left_open
from outbox.postgres.transaction_items import TransactionItems
from outbox.store import transitions
from outbox.submission.job_connection import JobConnection
from outbox.submission.own_commits import LeftJobs, refuse_own_commits
from outbox.submission.wake_up_sender import wake_up

PENDING = "duly.pending"
"""In `Session.info`: the `Pending` of the outermost transaction."""

WAKE_UP = "duly.wake_up"
"""In `Session.info`: a function that wakes the relays up, if the session should not do it."""

Row = dict[str, str | None]
"""One job as the parameters of SUBMIT, all of them text. Those of `UNSAID` may be left out.

A job with keys has `keys`, the text of an array, and `is_ordered`. A member of a batch has a
`batch_id`, too. A row with `is_new` or `is_sealed` is no job, but a batch that is made or sealed.
"""

UNSAID: Row = dict.fromkeys(("run_at", "expires_at", "subject", "parent_id", "submitted_by"))


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

    def write(self, session: Session) -> None:
        """Write the jobs that wait. If it raises, they go on waiting."""
        if self.jobs:
            self.connection = _write(session, [*self.jobs])
            self.jobs.clear()

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
        pending.connection = _write(session, rows)
        return
    if not pending.jobs:
        for connection in connections(session):
            refuse_own_commits(connection, pending.jobs)
    pending.jobs.add(session, rows)


def waiting(session: Session) -> list[Row]:
    """The jobs that wait for the session's commit, in order."""
    pending: Pending | None = session.info.get(PENDING)
    return [*pending.jobs] if pending else []


def submission(rows: Sequence[Row], *, as_json: bool = False) -> tuple[str, Row]:
    """The transition that writes all rows, and its parameters: only JSON, if that is asked for.

    JSON is written in ASCII, which is valid in any client_encoding.
    """
    if any("batch_id" in row for row in rows):
        return transitions.SUBMIT_MEMBERS, _with_batches(rows)
    if any("keys" in row for row in rows):
        return transitions.SUBMIT_KEYED, {"jobs": _as_json(rows)}
    if len(rows) == 1 and not as_json:
        return transitions.SUBMIT, UNSAID | rows[0]
    return transitions.SUBMIT_ALL, {"jobs": _as_json(rows)}


def is_job(row: Row) -> bool:
    """Whether the row is a job, and no batch."""
    return "kind" in row


def wake_up_after_commit(session: Session) -> None:
    """Wake the relays up once the session has committed: a statement of it wrote events."""
    _pending(session).connection = session.connection()


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
        _wake_up(session, pending.connection)


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


def _wake_up(session: Session, connection: Connection) -> None:
    own: Callable[[], None] | None = session.info.get(WAKE_UP)
    if own:
        own()
    else:
        wake_up(connection)


def _write(session: Session, rows: Sequence[Row]) -> Connection:
    """Write these jobs now, or leave them to a JobConnection, which sends them with the COMMIT.

    Returns the connection. Raises SQLAlchemy's errors.
    """
    connection = session.connection()
    if job_connection := _job_connection(session, connection):
        job_connection.buffer(submission(rows))
    elif connection.dialect.driver.startswith("psycopg"):
        connection.exec_driver_sql(*submission(rows))
    else:
        execute(connection, *submission(rows, as_json=True))
    return connection


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
