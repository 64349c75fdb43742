"""The steps of one round of admission, each one round trip."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from outbox.postgres.round_trip import array
from outbox.relay.admission import statements
from outbox.relay.admission.decision import Decision, Grants, Waiting, limited_keys
from outbox.relay.admission.fair_shares import Shares
from outbox.relay.admission.key_cursor import HOPS, KeyCursor
from outbox.relay.admission.limits import Limits
from outbox.relay.admission.statements import Database, as_json, execute


@dataclass(slots=True)
class State:
    """What waits and what holds keys; a hint, as nothing is locked."""

    queues: list[str]
    """Those that have events with keys, and are not paused."""
    held: Counter[str] = field(default_factory=Counter)
    """How many jobs hold each key."""
    unclaimed: Counter[str] = field(default_factory=Counter)
    """How many of these jobs have not begun, in each queue."""
    late: Counter[str] = field(default_factory=Counter)
    """How many of those were admitted long ago."""
    running: Counter[str] = field(default_factory=Counter)
    """How many have begun."""


async def is_wanted(database: Database) -> bool:
    """Whether there are events with keys."""
    (queues,) = await execute(database, statements.KEYED_QUEUES.of(database, {}))
    return bool(queues)


async def look(database: Database, limits: Limits, shares: Shares) -> State:
    """Delete the holders that no longer count, learn how long their jobs ran, and see what is left.

    If the process dies, they are deleted or not: what does not count makes no difference.
    """
    held = {"held": array(limits.held)}
    queues, swept, holders = await execute(
        database,
        statements.KEYED_QUEUES.of(database, {}),
        statements.SWEEP_HOLDERS.of(database, held),
        statements.HOLDERS.of(database, held),
    )
    for row in swept:
        shares[row.queue, row.priority].learn(row.key, row.seconds)
    state = State([row.queue for row in queues])
    for row in holders:
        state.held[row.key] += row.held
        state.unclaimed[row.queue] += row.unclaimed
        state.late[row.queue] += row.late
        state.running[row.queue] += row.running
    return state


async def scan(
    database: Database,
    cursor: KeyCursor,
    rooms: Mapping[str, int],
    limits: Limits,
    most: int,
) -> dict[Waiting, int]:
    """What is due in these queues, from where the last scan ended, and how much of it.

    Of each kind and keys, up to `most` are counted, and no more than there is room for, or than the
    limit lets start.
    """
    asked = {
        "wanted": as_json(cursor.wanted(rooms)),
        "hops": str(HOPS),
        "sought": str(cursor.sought),
        "most": str(min(most, max(rooms.values()))),
        "limits": limits.of_kinds,
    }
    (rows,) = await execute(database, statements.SCAN_KEYS.of(database, asked))
    cursor.advance(rows)
    return {_waiting(row): 1 if row.is_ordered else row.due for row in rows if _is_due(row)}


async def admit(
    database: Database,
    due: Mapping[Waiting, int],
    rooms: Mapping[str, int],
    limits: Limits,
    shares: Shares,
) -> Counter[str]:
    """Admit what limits and rooms allow; returns how many events of each queue.

    One transaction: if the process dies, all of it was admitted or nothing. No other relay counts
    or adds holders of the keys that it has locked until it has committed.
    """
    if not due:
        return Counter()
    held = await _lock_and_count(database, limited_keys(due, limits), limits)
    decision = Decision(limits, shares, held)
    for queue, room in rooms.items():
        decision.grant({each: n for each, n in due.items() if each.queue == queue}, room)
    return await _write(database, decision.grants)


async def _lock_and_count(
    database: Database, keys: Sequence[str], limits: Limits
) -> dict[str, int]:
    """Begin a transaction; the keys that it has locked, and how many jobs hold each.

    Each statement has a snapshot of its own, so holders are counted by a later one than the locks.
    """
    asked = array(keys)
    _, locked, counted = await execute(
        database,
        statements.BEGIN,
        statements.TRY_LOCK_KEYS.of(database, {"keys": asked}),
        statements.COUNT_HOLDERS.of(database, {"keys": asked, "held": array(limits.held)}),
    )
    holders = Counter({row.key: row.held for row in counted})
    return {row.key: holders[row.key] for row in locked}


async def _write(database: Database, grants: Grants) -> Counter[str]:
    """Admit what is granted, and commit."""
    counts = [_row(each) | {"most": most} for each, most in grants.items() if not each.only]
    jobs = [
        {"id": str(each.only), "kind": each.kind, "keys": each.keys} for each in grants if each.only
    ]
    rows = {statements.ADMIT: counts, statements.ADMIT_FIRST: jobs}
    asks = [
        statement.of(database, {"wanted": as_json(wanted)})
        for statement, wanted in rows.items()
        if wanted
    ]
    *admitted, _ = await execute(database, *asks, statements.COMMIT)
    return Counter(row.queue for each in admitted for row in each)


def _waiting(row: Any) -> Waiting:
    if row.is_ordered:
        # Its level is that of the events that were scanned: its priority among other keys.
        keys = tuple(row.first_keys)
        return Waiting(row.first_queue, row.level, row.first_kind, keys, row.first_id)
    only = row.job_id if row.due == 1 else None
    return Waiting(row.queue, row.level, row.kind, tuple(row.keys), only)


def _is_due(row: Any) -> bool:
    return bool(row.first_is_due if row.is_ordered else row.due)


def _row(each: Waiting) -> dict[str, Any]:
    return {"queue": each.queue, "level": each.level, "kind": each.kind, "keys": each.keys}
