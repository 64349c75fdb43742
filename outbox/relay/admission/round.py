"""The statements of one round of admission."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import namedtuple_row
from pydantic_core import to_json

from outbox.relay.admission.decision import Decision, Grants, Waiting, limited_keys
from outbox.relay.admission.fair_shares import Shares
from outbox.relay.admission.key_cursor import KeyCursor
from outbox.relay.admission.limits import Limits
from outbox.store import transitions

HOPS = 500
"""The most kinds and keys of a queue and level that one round looks at."""

Database = AsyncConnection[Any]


@dataclass(slots=True)
class Holders:
    """How many jobs hold each key, and how many jobs of each queue have not begun."""

    held: Counter[str] = field(default_factory=Counter)
    unclaimed: Counter[str] = field(default_factory=Counter)


async def queues(database: Database) -> list[str]:
    """The queues that have events with keys, and are not paused."""
    return [row.queue for row in await _rows(database, transitions.KEYED_QUEUES, {})]


async def sweep(database: Database, limits: Limits, shares: Shares) -> None:
    """Delete the holders that no longer count, and learn how long their jobs ran."""
    for row in await _rows(database, transitions.SWEEP_HOLDERS, {"held": limits.held}):
        shares[row.queue, row.priority].learn(row.key, row.seconds)


async def holders(database: Database, limits: Limits) -> Holders:
    """What holds keys now; a hint, as nothing is locked."""
    found = Holders()
    for row in await _rows(database, transitions.HOLDERS, {"held": limits.held}):
        found.held[row.key] += row.held
        found.unclaimed[row.queue] += row.unclaimed
    return found


async def scan(database: Database, cursor: KeyCursor, queues: Iterable[str]) -> list[Waiting]:
    """What is due in these queues, from where the last scan ended; at most HOPS of each level."""
    wanted = _json(cursor.wanted(queues))
    rows = await _rows(database, transitions.SCAN_KEYS, {"wanted": wanted, "hops": HOPS})
    cursor.advance(rows, HOPS)
    return list(dict.fromkeys(_waiting(row) for row in rows if _is_due(row)))


async def admit(
    database: Database,
    waiting: Sequence[Waiting],
    rooms: Mapping[str, int],
    limits: Limits,
    shares: Shares,
) -> Counter[str]:
    """Admit what limits and rooms allow; returns how many events of each queue.

    One transaction: if the process dies, all of it was admitted or nothing. No other relay counts
    or adds holders of the keys that it has locked until it has committed.
    """
    if not waiting:
        return Counter()
    async with database.transaction():
        decision = Decision(limits, shares, await _lock(database, waiting, limits))
        due = await _count_due(database, waiting, rooms)
        for queue, room in rooms.items():
            decision.grant({each: n for each, n in due.items() if each.queue == queue}, room)
        return await _write(database, decision.grants)


async def _lock(database: Database, waiting: Sequence[Waiting], limits: Limits) -> dict[str, int]:
    """The limited keys that this relay has locked, with their holders by a later snapshot."""
    keys = limited_keys(waiting, limits)
    if not keys:
        return {}
    locked = [row.key for row in await _rows(database, transitions.TRY_LOCK_KEYS, {"keys": keys})]
    asked = {"keys": locked, "held": limits.held}
    counted = await _rows(database, transitions.COUNT_HOLDERS, asked)
    return dict.fromkeys(locked, 0) | {row.key: row.held for row in counted}


async def _count_due(
    database: Database, waiting: Sequence[Waiting], rooms: Mapping[str, int]
) -> dict[Waiting, int]:
    """How many are due of each. Counted are some times as many as there is room for in all."""
    due = {each: 1 for each in waiting if each.first}
    unordered = [each for each in waiting if not each.first]
    per_queue = Counter(each.queue for each in unordered)
    wanted = [
        _row(each) | {"n": n, "most": max(4 * rooms[each.queue] // per_queue[each.queue], 1)}
        for n, each in enumerate(unordered)
    ]
    if wanted:
        counted = await _rows(database, transitions.COUNT_DUE, {"wanted": _json(wanted)})
        due |= {unordered[row.n]: row.due for row in counted}
    return due


async def _write(database: Database, grants: Grants) -> Counter[str]:
    counts = [_row(each) | {"most": most} for each, most in grants.items() if not each.first]
    firsts = [
        {"id": str(each.first), "kind": each.kind, "keys": each.keys}
        for each in grants
        if each.first
    ]
    admitted: Counter[str] = Counter()
    for statement, rows in ((transitions.ADMIT, counts), (transitions.ADMIT_FIRST, firsts)):
        if rows:
            written = await _rows(database, statement, {"wanted": _json(rows)})
            admitted.update(row.queue for row in written)
    return admitted


def _waiting(row: Any) -> Waiting:
    if row.is_ordered:
        # Its level is that of the events that were scanned: its priority among other keys.
        keys = tuple(row.first_keys)
        return Waiting(row.first_queue, row.level, row.first_kind, keys, row.first_id)
    return Waiting(row.queue, row.level, row.kind, tuple(row.keys))


def _is_due(row: Any) -> bool:
    return bool(row.first_is_due if row.is_ordered else row.is_due)


def _row(each: Waiting) -> dict[str, Any]:
    return {
        "queue": each.queue,
        "level": each.level,
        "kind": each.kind,
        "keys": each.keys,
    }


def _json(rows: Sequence[Mapping[str, Any]]) -> str:
    return to_json(rows).decode()


async def _rows(database: Database, statement: str, parameters: Mapping[str, Any]) -> list[Any]:
    async with database.cursor(row_factory=namedtuple_row) as cursor:
        await cursor.execute(statement, parameters, prepare=True)
        return await cursor.fetchall()
