"""Group commit: claims jobs and records outcomes, many threads' in one commit.

Threads hand in entries. One thread writes all that have gathered: one statement for each kind of
entry, one commit for all. While Postgres is unavailable the entries wait, and with them the jobs'
messages, unacknowledged. Unavailable means any error that is not about a single entry: Postgres
may be gone, read-only for a while, or out of space.

An entry is refused only if Postgres can store its data nowhere, or if it is too large for any
statement. An entry that the tables reject (a constraint, a trigger, a missing privilege, a sequence
that is behind) is held and written again, apart from the others: a failed write is not a failed
job.
"""

import math
import queue
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psycopg
import structlog
from psycopg.errors import DeadlockDetected, SerializationFailure

from outbox.listeners import measures
from outbox.listeners.measures import GroupCommitted
from outbox.postgres.refused_records import first_line, is_about_data, is_about_one
from outbox.postgres.replication import WRITE_WAL, CommitWatch
from outbox.postgres.round_trip import array, named_rows, round_trip
from outbox.postgres.session_settings import TRANSITION_SETTINGS, connect, is_pooled
from outbox.store import sequences
from outbox.submission.wake_up import NOTIFY, NOTIFY_KEYS, NOTIFY_MEMBERS
from outbox.worker.records.claims import ASYNC_CLAIMS
from outbox.worker.records.group_size import commits, next_group
from outbox.worker.records.held_records import HeldRecords
from outbox.worker.records.statements import SORTS, STATEMENTS

log = structlog.get_logger(__name__)

RETRY_SECONDS = 0.5
MAX_LINGER_SECONDS = 0.002
"""Longest linger after a group, while the next one gathers: fewer commits, less work."""
LINGER_PER_ENTRY_SECONDS = 0.00025
"""Under light load entries seldom come together, and need not wait for each other."""
ANSWER_POLL_SECONDS = 1.0
"""How often a thread that waits for an answer checks whether one can still come."""


class GroupCommitClosed(Exception):
    """The worker is stopping and got no answer: the row may or may not have been written."""


@dataclass(frozen=True, slots=True, eq=False)
class _Entry:
    statement: str
    row: Mapping[str, Any]
    on_answer: Callable[[Any], object]


def _ignore(_: Any) -> None:
    """Nobody waits for the answer."""


_NOTIFICATIONS = {each: _Entry(each, {}, _ignore) for each in (NOTIFY, NOTIFY_MEMBERS, NOTIFY_KEYS)}
_CLOSE = _Entry("close", {}, _ignore)
_STOP_WAITING = _Entry("stop waiting", {}, _ignore)
"""Wakes the thread while it waits for held records to become due."""
_SIGNALS = (*_NOTIFICATIONS.values(), _CLOSE, _STOP_WAITING)
"""Entries for the thread itself, which are not written."""


class GroupCommit:
    """Writes the entries of the worker `name`, on a connection and a thread of its own."""

    def __init__(self, database_url: str, name: str) -> None:
        self._database_url = database_url
        self.name = name
        self.lost_at = -math.inf
        """When it last lost its connection, on the monotonic clock."""
        self._connection: psycopg.Connection[Any] | None = None
        self._watch: CommitWatch
        self._is_in_doubt = False
        self._entries: queue.SimpleQueue[_Entry] = queue.SimpleQueue()
        self._held = HeldRecords[_Entry]()
        self._wanted: set[str] = set()
        """The notifications that are handed in."""
        self._stopping = threading.Event()
        self._gives_up_at = math.inf
        self._thread = threading.Thread(target=self._run, name="group commit", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs. It ends only when closed, or by a bug."""
        return self._thread.is_alive()

    def write(self, statement: str, row: Mapping[str, Any]) -> Any:
        """Write one row; return the statement's row once committed, or None if it was fenced off.

        Waits while Postgres is unavailable, while its tables reject the row, and while the worker
        has yet to notice that this thread died. Once the worker is stopping it raises
        GroupCommitClosed instead, as it does if Postgres has not answered by `give_up_at`. Raises
        psycopg's errors for a row with data that Postgres cannot store.
        """
        answer = self.ask(statement, row)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def ask(self, statement: str, row: Mapping[str, Any]) -> Any:
        """As `write`, but return what `write` would raise."""
        answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.post(statement, row, answers.put)
        return self._await_answer(answers)

    def post(
        self, statement: str, row: Mapping[str, Any], on_answer: Callable[[Any], object]
    ) -> None:
        """Hand in one row and return at once.

        `on_answer` is called on the group-commit thread with what `write` would return or raise,
        and must neither block nor raise. It is never called if the thread has ended.
        """
        self._entries.put(_Entry(statement, row, on_answer))

    def wake_up(self) -> None:
        """Tell the relays that there is work, with keys or without. Does not block.

        Best effort.
        """
        self.notify(NOTIFY)
        self.notify(NOTIFY_KEYS)

    def notify(self, notification: str) -> None:
        """Send the relays one of the notifications of `wake_up`, once for all that ask for it."""
        if notification not in self._wanted:
            self._wanted.add(notification)
            self._entries.put(_NOTIFICATIONS[notification])

    def stop_waiting(self) -> None:
        """From now on, wait for no Postgres that is unavailable, and hold no record."""
        self._stopping.set()
        self._entries.put(_STOP_WAITING)

    def give_up_at(self, moment: float) -> None:
        """Stop waiting for Postgres to answer at that moment of the monotonic clock."""
        self._gives_up_at = moment

    def close(self) -> None:
        """Write what was handed in, and end the thread. Waits until `give_up_at` at most."""
        self.stop_waiting()
        self._entries.put(_CLOSE)
        self._thread.join(min(self._time_left, threading.TIMEOUT_MAX))
        if not self._thread.is_alive():
            self._disconnect()

    def _await_answer(self, answers: "queue.SimpleQueue[Any]") -> Any:
        while not self._has_ended and self._time_left > 0:
            with suppress(queue.Empty):
                return answers.get(timeout=min(ANSWER_POLL_SECONDS, self._time_left))
        with suppress(queue.Empty):
            return answers.get_nowait()
        return GroupCommitClosed("group commit has ended, or Postgres does not answer")

    @property
    def _time_left(self) -> float:
        """Seconds left to wait for Postgres, at least 0."""
        return max(0, self._gives_up_at - time.monotonic())

    @property
    def _has_ended(self) -> bool:
        """Whether the worker is stopping and the thread has given its last answer."""
        return self._stopping.is_set() and not self._thread.is_alive()

    def _run(self) -> None:
        group: list[_Entry] = []
        while _CLOSE not in group:
            group = next_group(self._gather())
            self._settle_held()
            for entries in commits([entry for entry in group if entry not in _SIGNALS]):
                self._settle(entries)
            for notification, entry in _NOTIFICATIONS.items():
                if entry in group:
                    self._wanted.discard(notification)  # who asks from now on gets another
                    self._notify(notification)
            time.sleep(min(len(group) * LINGER_PER_ENTRY_SECONDS, MAX_LINGER_SECONDS))

    def _gather(self) -> Iterator[_Entry]:
        """The entries handed in. Waits for the first one, or until held records are due."""
        with suppress(queue.Empty):
            yield self._entries.get(timeout=self._held.due_in)
            while True:
                yield self._entries.get_nowait()

    def _settle(self, entries: Sequence[_Entry]) -> None:
        """Write the entries and answer them, however long Postgres is unavailable."""
        while entries:
            try:
                self._commit(entries)
            except (DeadlockDetected, SerializationFailure):
                continue
            except psycopg.Error as error:
                if is_about_one(error):
                    return self._settle_one_by_one(entries, error)
                self._is_in_doubt = True
                self._disconnect()
                if self._stopping.is_set():
                    return _refuse(
                        entries,
                        GroupCommitClosed("Postgres is unavailable and the worker is stopping"),
                    )
                log.warning("waiting for Postgres", why=first_line(error))
                self._stopping.wait(RETRY_SECONDS)
            else:
                return None
        return None

    def _settle_one_by_one(self, entries: Sequence[_Entry], error: psycopg.Error) -> None:
        """Give each entry its own transaction, because one bad row fails the whole group."""
        if sequences.is_duplicate(error):
            self._mend_sequences()
        if len(entries) > 1:
            for entry in entries:
                self._settle([entry])
        elif is_about_data(error):
            _refuse(entries, error)
        elif self._stopping.is_set():
            _refuse(entries, GroupCommitClosed("the tables reject it and the worker is stopping"))
        else:
            (entry,) = entries
            log.error("record held", job=str(entry.row.get("id")), why=first_line(error))
            self._held.hold(entry)

    def _settle_held(self) -> None:
        """Write the held records that are due, apart from other entries, which they may roll back.

        Once the worker is stopping they are written at once: this is their last chance, and none
        is held again.
        """
        if self._held.due_in == 0 or self._stopping.is_set():
            held = iter(self._held.take())
            while group := next_group(held):
                for entries in commits(group):
                    self._settle(entries)
            self._held.reset_if_empty()

    def _mend_sequences(self) -> None:
        try:
            self._connect().execute(sequences.ADVANCE_SEQUENCES)
        except psycopg.Error as error:
            log.warning(sequences.SEQUENCES_BEHIND, why=first_line(error))

    def _commit(self, entries: Sequence[_Entry]) -> None:
        groups: dict[str, list[_Entry]] = defaultdict(list)
        for entry in entries:
            groups[entry.statement].append(entry)
        if groups.keys() <= ASYNC_CLAIMS.keys() and not self._is_in_doubt:
            groups = {ASYNC_CLAIMS[claim]: group for claim, group in groups.items()}
        began = time.monotonic()
        answers: dict[_Entry, Any] = {}
        for group, returned in zip(groups.values(), self._execute(groups), strict=True):
            rows = {row.n: row for row in returned}
            answers |= {entry: rows.get(n) for n, entry in enumerate(group, start=1)}
        if measures.is_wanted(GroupCommitted):
            _tell(groups, time.monotonic() - began)
        for entry in entries:  # in order: an answer implies that all earlier entries have theirs
            entry.on_answer(answers[entry])

    def _execute(self, groups: Mapping[str, Sequence[_Entry]]) -> list[list[Any]]:
        """Run all statements in one round trip, which makes them one transaction without a BEGIN.

        After an error, the same entries may have committed already without reaching a standby.
        Written again they change nothing, so WRITE_WAL makes this commit wait for the standby too.
        """
        connection = self._connect()
        asks = [
            STATEMENTS[statement].of(connection, {"worker": self.name} | _columns(group))
            for statement, group in groups.items()
        ]
        if self._is_in_doubt:
            asks.append(STATEMENTS[WRITE_WAL].of(connection, {}))
        with self._watch.commit():
            answers = connection.wait(round_trip(connection, *asks))
        self._is_in_doubt = False
        return [named_rows(connection, answer) for answer in answers[: len(groups)]]

    def _connect(self) -> "psycopg.Connection[Any]":
        if self._connection is None:
            connection = self._connection = connect(self._database_url, TRANSITION_SETTINGS)
            self._watch = CommitWatch(connection)
            if not is_pooled(connection):
                prepare = [each.prepare for each in STATEMENTS.values()]
                connection.wait(round_trip(connection, *prepare))
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
            self.lost_at = time.monotonic()

    def _notify(self, notification: str) -> None:
        try:
            self._connect().execute(notification)
        except psycopg.Error:
            self._disconnect()  # the relays poll anyway


def _columns(entries: Sequence[_Entry]) -> dict[str, str]:
    return {name: array(entry.row[name] for entry in entries) for name in entries[0].row}


def _tell(groups: Mapping[str, Sequence[_Entry]], seconds: float) -> None:
    """Tell how many claims and how many outcomes were written in one commit."""
    for sort, statements in SORTS.items():
        if jobs := sum(len(group) for each, group in groups.items() if each in statements):
            measures.emit(GroupCommitted(statement=sort, jobs=jobs, seconds=seconds))


def _refuse(entries: Sequence[_Entry], error: Exception) -> None:
    for entry in entries:
        entry.on_answer(error)
