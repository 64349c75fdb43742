"""Which waiting jobs are admitted: rules without I/O."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from outbox.relay.admission.fair_shares import Shares
from outbox.relay.admission.limits import Limits
from outbox.relay.admission.permits import Permits
from outbox.relay.capacity import FRESH_PER_REPLAYED, PRIORITIES
from outbox.store.transitions import REPLAYED


class Waiting(NamedTuple):
    """The due events of one kind with the same keys, in one queue and level."""

    queue: str
    level: int
    kind: str
    keys: tuple[str, ...]
    only: UUID | None = None
    """The job that is to start, if it is known: it is the only one, or the first in order."""


Grants = dict[Waiting, int]
"""How many events of each are admitted."""


class Decision:
    """Decides within limits whose holders are counted, one queue after the other.

    `held` are the keys that this relay has locked, with how many jobs hold each. What has a limit
    or a rate on a key that is not among them gets nothing.
    """

    def __init__(
        self, limits: Limits, shares: Shares, held: Mapping[str, int], permits: Permits
    ) -> None:
        self._limits = limits
        self._shares = shares
        self._permits = permits
        self._held = Counter(held)
        self._locked = held.keys()
        self.grants: Grants = {}

    def grant(self, due: Mapping[Waiting, int], room: int) -> int:
        """Grant up to `room` of one queue's due events, by priority; returns how many."""
        left = room
        levels: dict[int, dict[Waiting, int]] = defaultdict(dict)
        for each, count in due.items():
            levels[each.level][each] = count
        for level, most in _passes(left):
            if level in levels:
                left -= self._grant(levels[level], min(left, most))
        return room - left

    def _grant(self, due: Mapping[Waiting, int], room: int) -> int:
        """Grant what is due in one queue and level."""
        queue, level = next((each.queue, each.level) for each in due)
        by_keys: dict[tuple[str, ...], list[Waiting]] = defaultdict(list)
        for each in due:
            by_keys[each.keys].append(each)
        free = {
            keys: sum(self._free(each, due[each]) for each in every)
            for keys, every in by_keys.items()
        }
        shares = self._shares[queue, level % REPLAYED].share(_positive(free), room)
        granted = 0
        while shares:
            granted += self._grant_in_turns(shares, by_keys, due)
        return granted

    def _grant_in_turns(
        self,
        shares: dict[tuple[str, ...], int],
        by_keys: Mapping[tuple[str, ...], Sequence[Waiting]],
        due: Mapping[Waiting, int],
    ) -> int:
        """Grant one event of each share, and forget those that are used up or may have no more.

        In random order: shares may have a key in common whose limit leaves too few for all.
        """
        granted = 0
        for keys in random.sample([*shares], len(shares)):
            each = next((one for one in by_keys[keys] if self._free(one, due[one])), None)
            if each:
                self._take(each)
                granted += 1
            shares[keys] -= 1
            if not each or not shares[keys]:
                del shares[keys]
        return granted

    def _free(self, each: Waiting, due: int) -> int:
        """How many of the due ones may start, by the limits and what was granted before."""
        if not self._limits.bounded(each.kind, each.keys) <= self._locked:
            return 0
        limits = self._limits.of(each.kind, each.keys)
        left = [most - self._held[key] for key, most in limits.items()]
        left += self._permits.left(self._limits.rates(each.kind, each.keys))
        return max(min([due - self.grants.get(each, 0), *left]), 0)

    def _take(self, each: Waiting) -> None:
        self.grants[each] = self.grants.get(each, 0) + 1
        for key in each.keys:
            self._held[key] += 1
        self._permits.take(each.keys)


def _passes(room: int) -> Iterator[tuple[int, int]]:
    """The levels in order, and how many of each may be taken.

    In each priority a tenth is for replayed jobs, then come fresh ones, then all others.
    """
    tenth = max(room // (FRESH_PER_REPLAYED + 1), 1)
    for priority in PRIORITIES:
        yield priority + REPLAYED, tenth
        yield priority, room
        yield priority + REPLAYED, room


def _positive(counts: Mapping[tuple[str, ...], int]) -> dict[tuple[str, ...], int]:
    return {keys: count for keys, count in counts.items() if count > 0}


def bounded_keys(waiting: Iterable[Waiting], limits: Limits) -> list[str]:
    """The keys to lock before anything is decided, in order."""
    return sorted({key for each in waiting for key in limits.bounded(each.kind, each.keys)})


def rated_keys(waiting: Iterable[Waiting], limits: Limits) -> list[str]:
    """Those of them that have a rate."""
    return sorted({key for each in waiting for key in limits.rates(each.kind, each.keys)})


def open_ones(waiting: Iterable[Waiting], limits: Limits, held: Mapping[str, int]) -> list[Waiting]:
    """Those whose keys were not at their limits when they were last counted."""
    return [
        each
        for each in waiting
        if all(held.get(key, 0) < most for key, most in limits.of(each.kind, each.keys).items())
    ]
