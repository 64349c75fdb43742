"""Fair shares of a queue: whose jobs go next, so that every key gets the same run time.

Deficit round robin over the first keys of jobs. Keys have turns, and one that is new comes after
those that wait. A turn adds a quantum of run time to the key's balance, and its jobs go while the
balance is positive; each deducts what a job of the key costs, the moving mean of its run times. So
the last job of a turn may leave a debt, which the next rounds pay off, also those in which the key
has no due jobs.

Once a key has due jobs, one of them goes at the latest when the other n - 1 keys that have some
meanwhile have been given, all together,

    (n - 1) * (c + 2 * QUANTUM_SECONDS + C)

of run time, where c is what one of its own jobs costs, and C what one of another key costs at most.
How many jobs the others have plays no part.
"""

from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter
from random import shuffle

Keys = tuple[str, ...]
"""The keys of a job. Its share is that of the first one."""

QUANTUM_SECONDS = 0.02
LEAST_SECONDS, MOST_SECONDS = 0.001, 86_400.0
"""What a job costs at least and at most, whatever a clock that was set says of its run time."""
LEAST_WEIGHT = 1 / 8
"""Of the newest run time in the moving mean: what a key is charged for is soon what it used."""
KEYS_REMEMBERED = 20_000
"""The keys that have been idle for longest are forgotten."""


class FairShares:
    """Shares what a queue can take among the first keys of its due jobs.

    What it remembers is a hint, and lost with the process: a key that it does not know owes
    nothing, and gets one job a turn until its first run time is learnt. If more than `remembered`
    keys wait, those that it had to forget come in random order, so each still has its turn.
    """

    def __init__(self, remembered: int = KEYS_REMEMBERED) -> None:
        self._remembered = remembered
        self._accounts: dict[str, _Account] = {}
        self._round = self._places = 0

    def share(self, due: Mapping[Keys, int], room: int) -> dict[Keys, int]:
        """How many jobs of which keys go now: `room` in all, or all that are due.

        `due` says how many jobs may go: what limits hold back counts 0, and keeps its place.
        """
        admitted: Counter[Keys] = Counter()
        ring = deque(self._ring(due))
        idle = 0
        while room > 0 and ring:
            waiting = ring.popleft()
            taken = self._take_turn(waiting, room)
            admitted.update(taken)
            room -= len(taken)
            idle = 0 if taken else idle + 1
            if waiting.count:
                ring.append(waiting)
            if ring and idle == len(ring):
                self._skip_rounds(ring)
                idle = 0
        return dict(admitted)

    def learn(self, key: str, seconds: float) -> None:
        """A job with this first key has run for so long."""
        self._account(key).learn(min(max(seconds, LEAST_SECONDS), MOST_SECONDS))

    def _ring(self, due: Mapping[Keys, int]) -> "list[_Waiting]":
        """The first keys that have due jobs, in the order of their turns."""
        found: dict[str, _Waiting] = {}
        for keys in sorted(keys for keys, count in due.items() if count > 0):
            if keys[0] not in found:
                found[keys[0]] = _Waiting(keys[0])
            found[keys[0]].add(keys, due[keys])
        waiting = list(found.values())
        shuffle(waiting)
        for each in waiting:
            each.place = self._account(each.key).place
        return sorted(waiting, key=attrgetter("place"))

    def _take_turn(self, waiting: "_Waiting", room: int) -> list[Keys]:
        """The jobs of a key in its turn, which goes on another time if there is too little room."""
        account = self._account(waiting.key)
        if account.paid_round == self._round and not account.is_in_turn:
            self._round += 1
        account.pay(self._round)
        taken: list[Keys] = []
        while waiting.count and len(taken) < room and account.balance > 0:
            account.balance -= account.cost
            account.last = waiting.take(account.last)
            taken.append(account.last)
        account.is_in_turn = waiting.count > 0 and account.balance > 0
        if not account.is_in_turn:
            account.place = self._next_place()
        return taken

    def _skip_rounds(self, ring: "deque[_Waiting]") -> None:
        """All are in debt: go on with the round in which the first of them is not."""
        least = min(-self._account(each.key).balance for each in ring)
        self._round += int(least // QUANTUM_SECONDS) + 1

    def _account(self, key: str) -> "_Account":
        account = self._accounts.pop(key, None)
        if account is None:
            account = _Account(self._next_place(), self._round - 1)
        self._accounts[key] = account
        if len(self._accounts) > self._remembered:
            del self._accounts[next(iter(self._accounts))]
        return account

    def _next_place(self) -> int:
        self._places += 1
        return self._places


Shares = dict[tuple[str, int], FairShares]
"""Of each queue and priority: what keys get in one says nothing of their turns in another."""


@dataclass(slots=True)
class _Account:
    """What is remembered of a first key."""

    place: int
    paid_round: int
    is_in_turn: bool = False
    balance: float = 0.0
    cost: float = QUANTUM_SECONDS
    learnt: int = 0
    last: Keys = ()

    def pay(self, to_round: int) -> None:
        """Add a quantum for each round since the last time. No more than one can be saved up."""
        if rounds := to_round - self.paid_round:
            self.balance = min(self.balance + rounds * QUANTUM_SECONDS, QUANTUM_SECONDS)
            self.paid_round = to_round

    def learn(self, seconds: float) -> None:
        """Move the mean of the run times."""
        self.learnt += 1
        self.cost += max(1 / self.learnt, LEAST_WEIGHT) * (seconds - self.cost)


class _Waiting:
    """The due jobs of one first key. Its other keys take turns within its own."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.place = self.count = 0
        self._due: dict[Keys, int] = {}
        self._order: list[Keys] = []

    def add(self, keys: Keys, count: int) -> None:
        """Count these jobs, too. Called in the order of the keys."""
        self.count += count
        self._due[keys] = count
        self._order.append(keys)

    def take(self, last: Keys) -> Keys:
        """Take a job of the keys that follow `last`, or of the first ones; there must be one."""
        place = bisect_right(self._order, last) % len(self._order)
        keys = self._order[place]
        self.count -= 1
        self._due[keys] -= 1
        if not self._due[keys]:
            del self._order[place]
        return keys
