"""A psycopg connection that sends the transaction's jobs with its COMMIT, in one round trip."""

import asyncio
from collections.abc import Iterable, Sequence, Sized
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

import psycopg
from psycopg import AsyncConnection, AsyncCursor, waiting
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus
from psycopg.rows import namedtuple_row

from outbox.postgres.replication import CommitWatch
from outbox.postgres.round_trip import Ask, Statement, named_rows, plain, prepared, round_trip
from outbox.store import transitions
from outbox.submission.rows import Row, UniqueRow, tell

COMMIT = plain("COMMIT")
_SUBMIT = (
    transitions.SUBMIT,
    transitions.SUBMIT_ALL,
    transitions.SUBMIT_KEYED,
    transitions.SUBMIT_MEMBERS,
    transitions.SUBMIT_UNIQUE,
    transitions.DEBOUNCE,
    transitions.PUBLISH,
)
_STATEMENTS = {each: Statement(each) for each in _SUBMIT}

POLL_SECONDS = 0.1
"""How often psycopg polls for a missed event while it waits for the socket; its own default."""

REFUSAL = (
    "jobs wait for their session's commit: call session.commit() before it is closed, and before "
    "its connection's commit()"
)

T = TypeVar("T")


class Submission(NamedTuple):
    """One of the transitions that submit. It returns rows if there are jobs of unique kinds."""

    transition: str
    parameters: Row
    unique: Sequence[UniqueRow] = ()

    def tell(self, answer: Iterable[Any]) -> None:
        """Tell the jobs of unique kinds which jobs they are, given the transition's rows."""
        tell(self.unique, {(row.kind, row.key): UUID(row.job_id) for row in answer})


class JobConnection(AsyncConnection[Any]):
    """A psycopg connection that buffers jobs until its transaction is committed or rolled back.

    A commit that raises leaves no transaction open: SQLAlchemy takes a transaction whose commit
    failed as ended, and would not roll it back. A commit that is cancelled closes the connection,
    and Postgres goes on with it. No cancel request is sent: it would end the wait for a standby,
    and the transaction would commit without one.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._submissions: list[Submission] = []
        self._watch = CommitWatch(self)
        self._is_committing = False
        self.waiting: tuple[Sized, ...] = ()
        """What waits for a session's commit. While there is any, `commit` is refused."""

    def buffer(self, submissions: Iterable[Submission]) -> None:
        """Have these jobs submitted with the commit."""
        self._submissions.extend(submissions)

    async def commit(self) -> None:
        """Commit with the buffered jobs: all or nothing.

        If the connection broke, the task was cancelled or the process died, it is not known which.

        Raises Unreplicated if everything was committed, but without waiting for the standby, and
        RuntimeError while jobs wait for their session.
        """
        submissions, self._submissions = self._submissions, []
        self._is_committing = True
        try:
            with self._watch.commit():
                await self._commit(submissions)
        except Exception:
            with suppress(Exception):  # a lost connection has nothing to roll back
                await super().rollback()
            raise
        except BaseException:
            self.pgconn.finish()
            raise
        finally:
            self._is_committing = False

    async def rollback(self) -> None:
        """Roll back, and drop the buffered jobs."""
        self._submissions = []
        await super().rollback()

    async def wait(self, gen: PQGen[T], *arguments: Any, **options: Any) -> T:
        """Wait as psycopg does, but never ask Postgres to cancel a COMMIT."""
        if not self._is_committing:
            return await super().wait(gen, *arguments, **options)
        try:
            return await waiting.wait_async(gen, self.pgconn.socket, interval=POLL_SECONDS)
        except (asyncio.CancelledError, KeyboardInterrupt):
            self.pgconn.finish()
            raise

    async def _commit(self, submissions: Sequence[Submission]) -> None:
        if any(self.waiting):
            raise RuntimeError(REFUSAL)
        if submissions:
            await _submit_and_commit(self, submissions)
        else:
            await super().commit()


async def _submit_and_commit(connection: JobConnection, submissions: Sequence[Submission]) -> None:
    """Raises psycopg's errors: then nothing was committed, and the transaction may be open."""
    try:
        if asks := _prepared(connection, submissions):
            async with connection.lock:
                answers = await connection.wait(round_trip(connection, *asks, COMMIT))
            for each, answer in zip(submissions, answers, strict=False):  # the last is COMMIT's
                if each.unique:
                    each.tell(named_rows(connection, answer))
        else:
            await _commit_in_pipeline(connection, submissions)
    except BaseException as error:
        if connection.pgconn.pipeline_status:  # nobody else may read the answers still to come
            connection.pgconn.finish()
            if isinstance(error, Exception) and not isinstance(error, psycopg.Error):
                raise psycopg.OperationalError("the connection was closed in a commit") from error
        raise


def _prepared(connection: JobConnection, submissions: Sequence[Submission]) -> list[Ask]:
    """The statements; none if the connection has not prepared all, or is in no transaction."""
    if connection.pgconn.transaction_status != TransactionStatus.INTRANS:
        return []
    asks: list[Ask] = []
    for each in submissions:
        statement = _STATEMENTS[each.transition]
        name = _prepared_name(connection, statement)
        if name is None:
            return []
        asks.append(prepared(name, statement.values(each.parameters, connection.info.encoding)))
    return asks


def _prepared_name(connection: JobConnection, statement: Statement) -> bytes | None:
    """The name under which psycopg has prepared the statement on this connection, or None.

    psycopg forgets it on a ROLLBACK, for example. It has no public way to ask. If the private
    attribute were gone, every commit would use psycopg's pipeline.
    """
    names: Any = getattr(getattr(connection, "_prepared", None), "_names", {})
    key = statement.text, statement.types
    if connection.prepare_threshold is None or key not in names:
        return None
    names.move_to_end(key)  # psycopg evicts the least recently used one
    name: bytes = names[key]
    return name


async def _commit_in_pipeline(connection: JobConnection, submissions: Sequence[Submission]) -> None:
    # A cursor class of the connection's own might put a payload into the statement's text.
    cursors = [AsyncCursor(connection, row_factory=namedtuple_row) for _ in submissions]
    async with connection.pipeline():
        for cursor, each in zip(cursors, submissions, strict=True):
            await cursor.execute(each.transition, each.parameters, prepare=True)
        await AsyncCursor(connection).execute("COMMIT", prepare=False)
    for cursor, each in zip(cursors, submissions, strict=True):
        if each.unique:
            each.tell(await cursor.fetchall())
