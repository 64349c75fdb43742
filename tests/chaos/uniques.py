"""What became of orders whose accounts have one job at a time: which job each one became."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import pairwise

from tests.chaos.accounts import Run, Wish
from tests.chaos.limits import Times
from tests.chaos.orders import Order, Sort

DONE_TOGETHER = (Sort.UNIQUE, Sort.DEBOUNCED)


def wrong(
    orders: Iterable[Order],
    runs: Collection[Run],
    wishes: Collection[Wish],
    asked: Times,
    told: Times,
    dead: Collection[str] = (),
) -> list[str]:
    """What is wrong with those of the orders that may have become one job with others."""
    sorts = {order.key: order.sort for order in orders}
    accepted = [wish for wish in wishes if wish.key in sorts]
    ends = {run.job: run.last for run in runs if run.has_ended}
    ran_for = {run.job: run.key for run in runs}
    return [
        *_lost(accepted, sorts, ends),
        *_not_the_newest(accepted, sorts, ran_for, asked, told),
        *_two_at_a_time(runs, ends, dead),
    ]


def absorbed(wishes: Collection[Wish]) -> int:
    """How many became a job that there was."""
    return len(wishes) - len({wish.job for wish in wishes})


def _lost(
    wishes: Iterable[Wish], sorts: Mapping[str, Sort], ends: Mapping[str, int]
) -> Iterator[str]:
    """Its job has to end, and to have it done by then: if not, the job had begun before."""
    for wish in wishes:
        end = ends.get(wish.job)
        if end is None:
            yield f"{wish.key}: its job has not run to its end"
        elif sorts[wish.key] in DONE_TOGETHER and (wish.done is None or wish.done > end):
            yield f"{wish.key}: it became a job that had begun"


def _not_the_newest(
    wishes: Iterable[Wish],
    sorts: Mapping[str, Sort],
    ran_for: Mapping[str, str],
    asked: Times,
    told: Times,
) -> Iterator[str]:
    """A job runs for its first order, a debounced one for its last. Two at once count as either."""
    for wish in wishes:
        key = ran_for.get(wish.job)
        if key is None or key not in told:
            continue
        if sorts[wish.key] is Sort.DEBOUNCED:
            if told[key] < asked[wish.key]:
                yield f"{wish.key}: its job ran for the older {key}"
        elif told[wish.key] < asked[key]:
            yield f"{wish.key}: its job ran for the newer {key}"


def _two_at_a_time(
    runs: Iterable[Run], ends: Mapping[str, int], dead: Collection[str]
) -> Iterator[str]:
    """Of an account whose job holds its key to the end, the next one begins after that."""
    begins: dict[str, dict[str, int]] = defaultdict(dict)
    gone = {run.job for run in runs if run.key in dead}
    for run in runs:
        if run.account.startswith(f"{Sort.ONCE}-") and run.job not in gone:
            jobs = begins[run.account]
            jobs[run.job] = min(run.begin, jobs.get(run.job, run.begin))
    for account, jobs in begins.items():
        for earlier, later in pairwise(sorted(jobs, key=jobs.__getitem__)):
            if ends.get(earlier, jobs[later]) >= jobs[later]:
                yield f"{account}: {later} began before {earlier} had ended"
