"""What became of the orders: what was accepted against what came of it."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from tests.chaos import batches, cancels, limits, messages, steps, ticks, uniques
from tests.chaos.accounts import Run, Wish
from tests.chaos.orders import Order, Sort
from tests.chaos.remains import Remains


@dataclass(frozen=True)
class Evidence:
    """What is known at the end, each part from another source."""

    accepted: Mapping[str, tuple[float, float]]
    """Orders whose clients were told 2xx: when they were placed, and when that was."""
    stored: Mapping[str, int]
    """How many rows each order has."""
    calls: Mapping[str, Counter[str]]
    """How often the service elsewhere was called for an order, by idempotency key."""
    remains: Remains
    fallen: list[str] = field(default_factory=list)
    """Processes that ended though nobody had ended them, with their exit code."""
    told_cancelled: set[str] = field(default_factory=set)
    """Orders whose clients were told that they are cancelled."""
    runs: Collection[Run] = ()
    wishes: Collection[Wish] = ()
    """What was written down of orders that have accounts."""
    published: Mapping[str, str] = field(default_factory=dict)
    """The ids of messages to the other service, by their orders."""
    received: Mapping[str, Counter[str]] = field(default_factory=dict)
    """How often it has got a message about each order, by message id."""

    @property
    def asked(self) -> Mapping[str, float]:
        """When each order was placed."""
        return {key: asked for key, (asked, _) in self.accepted.items()}

    @property
    def told(self) -> Mapping[str, float]:
        """When its client knew that it is accepted."""
        return {key: told for key, (_, told) in self.accepted.items()}


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
    cancelled: int
    """Orders that their clients cancelled before they were done."""
    interrupted: int
    """Those of them that had begun."""
    cancels_wrong: list[str]
    """Orders that were cancelled, and what is wrong with them."""
    resumed: int
    """Orders done in steps that another attempt went on with."""
    steps_wrong: list[str]
    """Orders with a row doubled or skipped, or half a step."""
    batches_cancelled: int
    batches_reopened: int
    """Batches that settled, and once more after a replay."""
    batches_wrong: list[str]
    """Batches whose callbacks came too often, too rarely or too early."""
    ticks_made: int
    ticks_skipped: int
    """Those of schedules that made a job, and those that are listed with why they made none."""
    ticks_wrong: list[str]
    """Ticks of the time without a job or a reason, with two jobs, or whose job has not ended."""
    limits_wrong: list[str]
    """Accounts of which too many jobs ran at once, and orders that began before their turn."""
    absorbed: int
    """Orders that became a job that there was."""
    uniques_wrong: list[str]
    """Those that were lost on one, or of whose account two jobs were there at a time."""
    repeated_messages: int
    """Messages that came to the other service again under their id: allowed, it is for that."""
    messages_wrong: list[str]
    """Messages to the other service that did not come, and its own that are not one job."""
    pauses: int
    """How often a queue was paused."""
    fallen: list[str]
    """Processes that ended by themselves."""

    @property
    def broken(self) -> bool:
        """Whether one of Duly's promises was broken."""
        wrong = (self.lost, self.failed_without_a_trace, self.stuck, self.dead_though_able)
        twice = (self.stored_twice, self.called_under_two_keys)
        more = (self.cancels_wrong, self.steps_wrong, self.batches_wrong, self.ticks_wrong)
        flow = (self.limits_wrong, self.uniques_wrong, self.messages_wrong)
        return any((*wrong, *twice, *more, *flow, self.fallen))


def judge(orders: Iterable[Order], evidence: Evidence) -> Verdict:
    """Weigh the evidence."""
    accepted = [order for order in orders if order.key in evidence.accepted]
    ends = {order.key: _end(order, evidence) for order in accepted}
    able = {order.key for order in accepted if order.sort is not Sort.DOOMED}
    by_end = {end: [key for key in ends if ends[key] == end] for end in _ENDS}
    calls, remains, stored = evidence.calls.items(), evidence.remains, evidence.stored
    found, told = remains.batches, evidence.told_cancelled
    return Verdict(
        accepted=len(accepted),
        succeeded=len(by_end["succeeded"]),
        dead=len(by_end["dead"]),
        dead_though_able=[key for key in by_end["dead"] if key in able],
        lost=[key for key in by_end["lost"] if key in able],
        failed_without_a_trace=[key for key in by_end["lost"] if key not in able],
        stuck=by_end["stuck"],
        stored_twice=sorted(key for key, rows in stored.items() if rows > 1),
        called_under_two_keys=sorted(key for key, keys in calls if len(keys) > 1),
        called_again=sum(count - 1 for _, keys in calls for count in keys.values()),
        fallen=evidence.fallen,
        cancelled=len(by_end["cancelled"]),
        interrupted=len(remains.interrupted),
        cancels_wrong=cancels.wrong(accepted, remains.cancelled, told, stored),
        resumed=len(remains.resumed),
        steps_wrong=steps.wrong(accepted, stored),
        batches_cancelled=sum(batches.is_cancelled(order, found) for order in accepted),
        batches_reopened=sum(batch.generation > 1 for batch in found.values()),
        batches_wrong=batches.wrong(accepted, found, stored, evidence.calls, told),
        ticks_made=ticks.count(remains.beats, "made"),
        ticks_skipped=ticks.count(remains.beats, "skipped"),
        ticks_wrong=ticks.wrong(remains.beats, stored),
        limits_wrong=limits.wrong(accepted, evidence.runs, evidence.asked, evidence.told),
        absorbed=uniques.absorbed(evidence.wishes),
        uniques_wrong=_uniques_wrong(accepted, evidence),
        repeated_messages=sum(ids.total() - len(ids) for ids in evidence.received.values()),
        messages_wrong=messages.wrong(
            accepted, evidence.published, evidence.received, remains.received
        ),
        pauses=remains.pauses,
    )


def _uniques_wrong(accepted: Iterable[Order], evidence: Evidence) -> list[str]:
    asked, told, dead = evidence.asked, evidence.told, evidence.remains.dead
    return uniques.wrong(accepted, evidence.runs, evidence.wishes, asked, told, dead)


_ENDS = ("succeeded", "dead", "stuck", "lost", "cancelled")


def _end(order: Order, evidence: Evidence) -> str:
    remains = evidence.remains
    if order.key in remains.unfinished:
        return "stuck"
    if batches.is_cancelled(order, remains.batches):
        return "cancelled"
    if order.key in remains.dead:
        return "dead"
    if order.key in remains.cancelled and order.sort in cancels.CANCELLED:
        return "cancelled"
    stored = order.key in evidence.stored or not order.is_stored
    called = order.key in evidence.calls or not order.is_called
    return "succeeded" if stored and called and order.sort is not Sort.DOOMED else "lost"
