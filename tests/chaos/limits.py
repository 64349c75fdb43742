"""What became of orders whose accounts have limits: how many ran at once, and in which order."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate

from tests.chaos.accounts import Run
from tests.chaos.orders import Order, Sort

LIMITS = {Sort.LIMITED: 2, Sort.ORDERED: 1, Sort.UNIQUE: 1}
"""How many jobs of an account may run at once."""
Times = Mapping[str, float]


def wrong(orders: Iterable[Order], runs: Iterable[Run], asked: Times, told: Times) -> list[str]:
    """What is wrong with the accounts' runs.

    `asked` is when the client first posted each order, `told` when it knew that it is accepted.
    """
    by_account = defaultdict(list)
    for run in runs:
        by_account[run.account].append(run)
    ordered = [order for order in orders if order.sort is Sort.ORDERED]
    return [*_crowded(by_account), *_overtaken(ordered, by_account, asked, told)]


def most_at_once(runs: Iterable[Run]) -> int:
    """How many of them certainly ran at the same time."""
    steps = [step for run in runs for step in ((run.begin, -1), (run.last, 1))]
    return max(accumulate(-change for _, change in sorted(steps)), default=0)


def _crowded(by_account: Mapping[str, Sequence[Run]]) -> Iterator[str]:
    for account, runs in by_account.items():
        limit = LIMITS.get(Sort(account.partition("-")[0]))
        if limit and (most := most_at_once(runs)) > limit:
            yield f"{account}: {most} jobs ran at once, and its limit is {limit}"


def _overtaken(
    orders: Iterable[Order], by_account: Mapping[str, Sequence[Run]], asked: Times, told: Times
) -> Iterator[str]:
    """Orders that began before one had ended that was accepted before they were placed."""
    by_own = defaultdict(list)
    for order in orders:
        by_own[order.account].append(order.key)
    for account, keys in by_own.items():
        begins, ends = _begins(by_account[account]), _ends(by_account[account])
        for later in filter(begins.__contains__, keys):
            for earlier in keys:
                if told[earlier] < asked[later] and ends.get(earlier, 0) > begins[later]:
                    yield f"{later}: began before {earlier} had ended"


def _begins(runs: Iterable[Run]) -> dict[str, int]:
    begins: dict[str, int] = {}
    for run in runs:
        begins[run.key] = min(run.begin, begins.get(run.key, run.begin))
    return begins


def _ends(runs: Iterable[Run]) -> dict[str, int]:
    return {run.key: run.last for run in runs if run.has_ended}
