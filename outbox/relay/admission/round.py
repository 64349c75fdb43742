"""The steps of one round of admission, each one round trip."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from outbox.flow.clocks import Clock
from outbox.postgres.round_trip import array
from outbox.relay.admission import statements
from outbox.relay.admission.decision import Decision, Grants, Waiting, bounded_keys, rated_keys
from outbox.relay.admission.fair_shares import Shares
from outbox.relay.admission.key_cursor import HOPS, KeyCursor
from outbox.relay.admission.limits import Limits
from outbox.relay.admission.permits import Permits
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


@dataclass(slots=True)
class Admitted:
    """How many events of each queue were admitted, and which keys have no permit for how long."""

    counts: Counter[str] = field(default_factory=Counter)
    closed: dict[str, float] = field(default_factory=dict)


async def is_wanted(database: Database) -> bool:
    """Whether there are events with keys."""
    (queues,) = await execute(database, statements.KEYED_QUEUES.of(database, {}))
    return bool(queues)


async def read_limits(database: Database, limits: Limits) -> bool:
    """Read what people have set in place of declared limits; whether that has changed."""
    (rows,) = await execute(database, statements.READ_LIMITS.of(database, {}))
    return limits.replace(rows)


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

    Of each kind and keys, up to `most` are counted, and no more than there is room for, or than a
    limit or a rate lets start.
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
) -> Admitted:
    """Admit what limits, rates and rooms allow.

    One transaction: if the process dies, all of it was admitted or nothing. No other relay counts
    or adds holders of the keys that it has locked until it has committed.
    """
    if not due:
        return Admitted()
    held, permits = await _lock_and_count(database, due, limits)
    decision = Decision(limits, shares, held, permits)
    for queue, room in rooms.items():
        decision.grant({each: n for each, n in due.items() if each.queue == queue}, room)
    rates = [limits.rates(each.kind, each.keys) for each in due]
    closed = {key: wait for each in rates for key, wait in permits.next_in(each).items()}
    return Admitted(await _write(database, decision.grants), closed)


async def _lock_and_count(
    database: Database, due: Mapping[Waiting, int], limits: Limits
) -> tuple[dict[str, int], Permits]:
    """Begin a transaction; the keys that it has locked, with how many jobs hold each; the permits.

    Each statement has a snapshot of its own, so holders are counted by a later one than the locks,
    and clocks are read after those who will take a permit were counted: one is counted twice rather
    than not at all.
    """
    keys, rated = array(bounded_keys(due, limits)), rated_keys(due, limits)
    clocks = [statements.READ_CLOCKS.of(database, {"keys": array(rated)})] if rated else []
    _, locked, counted, *read = await execute(
        database,
        statements.BEGIN,
        statements.TRY_LOCK_KEYS.of(database, {"keys": keys}),
        statements.COUNT_HOLDERS.of(database, {"keys": keys, "held": array(limits.held)}),
        *clocks,
    )
    holders = Counter({row.key: row.held for row in counted})
    permits = Permits(
        {row.key: Clock(row.ahead, row.pause or 0.0) for rows in read for row in rows},
        {row.key: row.unclaimed for row in counted},
    )
    return {row.key: holders[row.key] for row in locked}, permits


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
