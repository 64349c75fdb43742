"""What became of the orders: what was accepted against what came of it."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tests.chaos.orders import Order, Sort
from tests.chaos.remains import Remains


@dataclass(frozen=True)
class Evidence:
    """What is known at the end, each part from another source."""

    accepted: set[str]
    """Orders whose clients were told 2xx."""
    stored: Mapping[str, int]
    """How many rows each order has."""
    calls: Mapping[str, Counter[str]]
    """How often the service elsewhere was called for an order, by idempotency key."""
    remains: Remains
    fallen: list[str] = field(default_factory=list)
    """Processes that ended though nobody had ended them, with their exit code."""


@dataclass(frozen=True)
class Verdict:
    """The orders by what became of them."""

    accepted: int
    succeeded: int
    dead: int
    """Where a person finds them: with the doomed ones, those whose attempts ran out."""
    dead_though_able: list[str]
    """Those of them that could have succeeded."""
    lost: list[str]
    """Accepted, and neither done nor anywhere any more."""
    failed_without_a_trace: list[str]
    """Accepted, bound to fail, and nobody could know."""
    stuck: list[str]
    """Accepted and still unfinished, though nothing has happened for long."""
    stored_twice: list[str]
    """With more than one effect in Postgres."""
    called_under_two_keys: list[str]
    """Whose calls the receiver could not tell to be one."""
    called_again: int
    """Calls repeated under the same key: allowed, as that is what the key is for."""
    fallen: list[str]
    """Processes that ended by themselves."""

    @property
    def broken(self) -> bool:
        """Whether one of Duly's promises was broken."""
        wrong = (self.lost, self.failed_without_a_trace, self.stuck, self.dead_though_able)
        return any((*wrong, self.stored_twice, self.called_under_two_keys, self.fallen))


def judge(orders: Iterable[Order], evidence: Evidence) -> Verdict:
    """Weigh the evidence."""
    accepted = [order for order in orders if order.key in evidence.accepted]
    ends = {order.key: _end(order, evidence) for order in accepted}
    able = {order.key for order in accepted if order.sort is not Sort.DOOMED}
    by_end = {end: [key for key in ends if ends[key] == end] for end in _ENDS}
    calls = evidence.calls.items()
    return Verdict(
        accepted=len(accepted),
        succeeded=len(by_end["succeeded"]),
        dead=len(by_end["dead"]),
        dead_though_able=[key for key in by_end["dead"] if key in able],
        lost=[key for key in by_end["lost"] if key in able],
        failed_without_a_trace=[key for key in by_end["lost"] if key not in able],
        stuck=by_end["stuck"],
        stored_twice=sorted(key for key, rows in evidence.stored.items() if rows > 1),
        called_under_two_keys=sorted(key for key, keys in calls if len(keys) > 1),
        called_again=sum(count - 1 for _, keys in calls for count in keys.values()),
        fallen=evidence.fallen,
    )


_ENDS = ("succeeded", "dead", "stuck", "lost")


def _end(order: Order, evidence: Evidence) -> str:
    if order.key in evidence.remains.dead:
        return "dead"
    if order.key in evidence.remains.unfinished:
        return "stuck"
    stored = order.key in evidence.stored or not order.is_stored
    called = order.key in evidence.calls or not order.is_called
    return "succeeded" if stored and called and order.sort is not Sort.DOOMED else "lost"
