"""The worker's ledger: claims jobs and records what became of them, many threads in one commit.

Entries are handed in; one thread writes all that have gathered meanwhile, one statement for each
step and one commit for all (group commit). While Postgres is away the entries wait, and
with them the jobs' messages, unacknowledged. Away is whatever Postgres answers that is not about
one entry: it may be read-only for a while, or have no room, as well as be gone.

Only data that Postgres can keep nowhere is refused, or that is too large for any statement. An
entry that the tables do not take (a constraint, a trigger, a missing privilege, a sequence that is
behind) is held and written again, apart from the others: a record that fails is no job that failed.
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

from outbox import sequences, steps
from outbox.group import next_group
from outbox.held import Held
from outbox.nudge import NOTIFY
from outbox.postgres import STEPS, connect, is_pooled
from outbox.refused import first_line, is_about_data, is_about_one
from outbox.replication import WRITE_WAL, CommitWatch
from outbox.round_trip import PreparedStatement, array, named_rows, round_trip

log = structlog.get_logger(__name__)

RETRY_SECONDS = 0.5
BREATH_SECONDS = 0.002
"""The longest pause after a group, in which the next one gathers: fewer commits, less work."""
BREATH_PER_ENTRY_SECONDS = 0.00025
"""At an easy pace entries seldom come together, and need not wait for each other."""
LOOK_SECONDS = 1.0
"""How soon a thread that waits for an answer notices that none can come."""


CLAIMS_ALONE = f"{steps.CLAIM}, set_config('synchronous_commit', 'off', true)"
"""CLAIM for a transaction of claims alone, which does not wait for the disk then.

What CLAIM returns is the end of its text, and this is one thing more.

A claim that a crash of Postgres takes back leaves its job `queued` and its publication remembered:
what commits later and waits for the disk takes the claim along. What this worker does with the job
is fenced off then, by the state, or by the worker's name once another has claimed it under the same
number of attempts. So the job is done again, as after a crash of the worker.
"""
LOOK = "UPDATE duly.jobs SET id = id WHERE false RETURNING 1 AS n"
"""Writes nothing, where something could be written."""
RUNNING = """
SELECT 1 AS n, coalesce(jsonb_agg(jsonb_build_array(id, dispatch, attempt)), '[]') AS running
FROM duly.jobs WHERE state = 'running' AND worker = %(worker)s
"""
"""What this worker runs, as Postgres has it: job, dispatch and attempt of each."""
STATEMENTS = {
    step: PreparedStatement(name, step)
    for name, step in {
        "claim": steps.CLAIM,
        "claim_alone": CLAIMS_ALONE,
        "succeed": steps.SUCCEED,
        "snooze": steps.SNOOZE,
        "retry": steps.RETRY,
        "die": steps.DIE,
        "count_uncertain": steps.COUNT_UNCERTAIN,
        "put_off": steps.PUT_OFF,
        "bury": steps.BURY,
        "keep_foreign": steps.KEEP_FOREIGN,
        "look": LOOK,
        "running": RUNNING,
        "write_wal": WRITE_WAL,
    }.items()
}
"""All that it can be asked to take."""


class LedgerClosed(Exception):
    """The worker stops, and Postgres or the ledger is gone: whether it was written is unknown."""


@dataclass(frozen=True, slots=True, eq=False)
class _Entry:
    step: str
    row: Mapping[str, Any]
    then: Callable[[Any], None]


def _nothing(_: Any) -> None:
    """Nobody waits for the answer."""


_NUDGE = _Entry("nudge", {}, _nothing)
_CLOSE = _Entry("close", {}, _nothing)
_WAKE = _Entry("wake", {}, _nothing)
"""For one that waits until what it holds is due."""
_SIGNALS = (_NUDGE, _CLOSE, _WAKE)


class Ledger:
    """Writes steps for the worker `name`, on one connection and one thread of its own."""

    def __init__(self, database_url: str, name: str) -> None:
        self._database_url = database_url
        self.name = name
        self.lost_at = -math.inf
        """When it last lost its connection, on the monotonic clock."""
        self._connection: psycopg.Connection[Any] | None = None
        self._watch: CommitWatch
        self._is_in_doubt = False
        self._entries: queue.SimpleQueue[_Entry] = queue.SimpleQueue()
        self._held = Held[_Entry]()
        self._stopping = threading.Event()
        self._gives_up_at = math.inf
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether it still writes; it ends only when closed, or by a bug."""
        return self._thread.is_alive()

    def write(self, step: str, row: Mapping[str, Any]) -> Any:
        """Take the step; returns its row once committed, or None where the fence kept it out.

        Waits while Postgres is away, or its tables do not take the row, or the worker has yet to
        notice that its ledger died; once the worker stops it raises LedgerClosed instead, also
        where Postgres says nothing until the moment of `give_up_at`. Raises psycopg's errors for a
        row with data that Postgres cannot keep.
        """
        answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.post(step, row, answers.put)
        answer = self._first(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def post(self, step: str, row: Mapping[str, Any], then: Callable[[Any], None]) -> None:
        """Take the step, and say then how it went, on the ledger's thread.

        `then` is given what `write` returns or would raise. It is not called by a ledger that has
        ended, and must neither wait nor raise.
        """
        self._entries.put(_Entry(step, row, then))

    def has_lost_postgres_since(self, moment: float) -> bool:
        """Whether Postgres has been away since then, on the monotonic clock, or is so now.

        Waits and raises as `write` does.
        """
        self.write(LOOK, {})
        return self.lost_at >= moment

    def nudge(self) -> None:
        """Tell the relays that there is work. Does not wait, and may come to nothing."""
        self._entries.put(_NUDGE)

    def stop_waiting(self) -> None:
        """From now on do not wait for a Postgres that is away, and hold nothing."""
        self._stopping.set()
        self._entries.put(_WAKE)

    def give_up_at(self, moment: float) -> None:
        """Wait until that moment of the monotonic clock for a Postgres that does not answer."""
        self._gives_up_at = moment

    def close(self) -> None:
        """Write what was handed in, and end; until it is to give up."""
        self.stop_waiting()
        self._entries.put(_CLOSE)
        self._thread.join(min(self._patience, threading.TIMEOUT_MAX))
        if not self._thread.is_alive():
            self._disconnect()

    def _first(self, answers: "queue.SimpleQueue[Any]") -> Any:
        while not self._has_ended and self._patience > 0:
            with suppress(queue.Empty):
                return answers.get(timeout=min(LOOK_SECONDS, self._patience))
        with suppress(queue.Empty):
            return answers.get_nowait()
        return LedgerClosed("the ledger has ended, or Postgres does not answer")

    @property
    def _patience(self) -> float:
        """How much longer to wait for Postgres, in seconds; not below 0."""
        return max(0, self._gives_up_at - time.monotonic())

    @property
    def _has_ended(self) -> bool:
        """Whether it stops and has answered its last entry."""
        return self._stopping.is_set() and not self._thread.is_alive()

    def _run(self) -> None:
        group: list[_Entry] = []
        while _CLOSE not in group:
            group = next_group(self._waiting())
            self._settle_held()
            self._settle([entry for entry in group if entry not in _SIGNALS])
            if _NUDGE in group:
                self._notify()
            time.sleep(min(len(group) * BREATH_PER_ENTRY_SECONDS, BREATH_SECONDS))

    def _waiting(self) -> Iterator[_Entry]:
        """What was handed in; waits for the first, unless something held is due before."""
        with suppress(queue.Empty):
            yield self._entries.get(timeout=self._held.due_in)
            while True:
                yield self._entries.get_nowait()

    def _settle(self, entries: Sequence[_Entry]) -> None:
        """Write the entries, however long Postgres is away, and answer them."""
        while entries:
            try:
                self._commit(entries)
            except (DeadlockDetected, SerializationFailure):
                continue
            except psycopg.Error as error:
                if is_about_one(error):
                    return self._settle_alone(entries, error)
                self._is_in_doubt = True
                self._disconnect()
                if self._stopping.is_set():
                    return _refuse(entries, LedgerClosed("Postgres is away and the worker stops"))
                log.warning("waiting for Postgres", why=first_line(error))
                self._stopping.wait(RETRY_SECONDS)
            else:
                return None
        return None

    def _settle_alone(self, entries: Sequence[_Entry], error: psycopg.Error) -> None:
        """One bad row spoils a group: then each entry has a transaction of its own."""
        if sequences.is_duplicate(error):
            self._mend_sequences()
        if len(entries) > 1:
            for entry in entries:
                self._settle([entry])
        elif is_about_data(error):
            _refuse(entries, error)
        elif self._stopping.is_set():
            _refuse(entries, LedgerClosed("the tables do not take it, and the worker stops"))
        else:
            (entry,) = entries
            log.error("record held", job=str(entry.row.get("id")), why=first_line(error))
            self._held.hold(entry)

    def _settle_held(self) -> None:
        """Write the held records once they are due, apart from others, which they may undo.

        Once the worker stops it is at once, as this is their last chance: none is held again.
        """
        if self._held.due_in == 0 or self._stopping.is_set():
            held = iter(self._held.take())
            while group := next_group(held):
                self._settle(group)
            self._held.settled()

    def _mend_sequences(self) -> None:
        try:
            self._connect().execute(sequences.MEND)
        except psycopg.Error as error:
            log.warning(sequences.UNMENDED, why=first_line(error))

    def _commit(self, entries: Sequence[_Entry]) -> None:
        groups: dict[str, list[_Entry]] = defaultdict(list)
        for entry in entries:
            groups[entry.step].append(entry)
        if groups.keys() == {steps.CLAIM} and not self._is_in_doubt:
            groups = {CLAIMS_ALONE: groups[steps.CLAIM]}
        answers: dict[_Entry, Any] = {}
        for group, taken in zip(groups.values(), self._take(groups), strict=True):
            rows = {row.n: row for row in taken}
            answers |= {entry: rows.get(n) for n, entry in enumerate(group, start=1)}
        for entry in entries:  # in their order: who asked last knows that all before are answered
            entry.then(answers[entry])

    def _take(self, groups: Mapping[str, Sequence[_Entry]]) -> list[list[Any]]:
        """All in one transaction, though none says BEGIN: it is one round trip.

        What was tried before may have committed, and no standby have it. Then it changes nothing
        now, and its answer waits for a standby all the same.
        """
        connection = self._connect()
        asks = [
            STATEMENTS[step].of(connection, {"worker": self.name} | _columns(group))
            for step, group in groups.items()
        ]
        if self._is_in_doubt:
            asks.append(STATEMENTS[WRITE_WAL].of(connection, {}))
        with self._watch.commit():
            answers = connection.wait(round_trip(connection, *asks))
        self._is_in_doubt = False
        return [named_rows(connection, answer) for answer in answers[: len(groups)]]

    def _connect(self) -> "psycopg.Connection[Any]":
        if self._connection is None:
            connection = self._connection = connect(self._database_url, STEPS)
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

    def _notify(self) -> None:
        try:
            self._connect().execute(NOTIFY)
        except psycopg.Error:
            self._disconnect()  # the relays look by themselves before long


def _columns(entries: Sequence[_Entry]) -> dict[str, str]:
    return {name: array(entry.row[name] for entry in entries) for name in entries[0].row}


def _refuse(entries: Sequence[_Entry], error: Exception) -> None:
    for entry in entries:
        entry.then(error)
