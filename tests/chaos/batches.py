"""What became of batches: their members' effects against the callbacks that came."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from tests.chaos.orders import Order, Sort

Calls = Mapping[str, object]
ENDED = ("succeeded", "dead", "cancelled")


@dataclass(frozen=True, slots=True)
class Settled:
    """A batch as the system shows it at the end."""

    outcome: str | None
    generation: int = 1
    deaths: int = 0
    """How often members of it have died."""
    members: Mapping[str, str] = field(default_factory=dict)
    """The states of its members, by their keys."""


def settled_key(key: str, job: str) -> str:
    """What an order's `on_settled` stores: another key for each job."""
    return f"{key}.settled.{job}"


def death_key(key: str, job: str) -> str:
    """What its `on_first_death` stores."""
    return f"{key}.death.{job}"


def early_key(key: str) -> str:
    """What a callback stores that came before the members' effects."""
    return f"{key}.early"


def wrong(
    orders: Iterable[Order],
    found: Mapping[str, Settled],
    stored: Mapping[str, int],
    calls: Calls,
    told: Collection[str] = (),
) -> list[str]:
    """What is wrong with those of the orders that are batches.

    `told` are the orders whose clients were told that they are cancelled.
    """
    return [
        f"{order.key}: {fault}"
        for order in orders
        if order.sort is Sort.BATCH
        for fault in _faults(order, found.get(order.key), stored, calls, order.key in told)
    ]


def is_cancelled(order: Order, found: Mapping[str, Settled]) -> bool:
    """Whether it is a batch that its client has cancelled."""
    is_batch = order.sort is Sort.BATCH and order.cancel_after is not None
    return is_batch and order.key in found and found[order.key].outcome == "cancelled"


def _faults(
    order: Order, batch: Settled | None, stored: Mapping[str, int], calls: Calls, is_told: bool
) -> Iterator[str]:
    if batch is None:
        yield "there is no such batch"
    elif is_cancelled(order, {order.key: batch}):
        yield from _faults_of_cancelled(order, batch, stored)
    elif is_told:
        yield f"its client was told that it is cancelled, and its outcome is {batch.outcome}"
    else:
        yield from _faults_of_whole(order, batch, stored, calls)
    if early_key(order.key) in stored:
        yield "a callback came before the last member had ended"


def _faults_of_whole(
    order: Order, batch: Settled, stored: Mapping[str, int], calls: Calls
) -> Iterator[str]:
    """Of one that nobody has cancelled, or too late."""
    if batch.outcome != "succeeded":
        yield f"its outcome is {batch.outcome}"
    without = [key for key in order.stored_members if key not in stored]
    without += [key for key in order.called_members if key not in calls]
    if without:
        yield f"members without an effect: {', '.join(without)}"
    if (times := stored.get(order.key, 0)) != 1:
        yield f"on_success came {times} times"
    yield from _miscounted(order.key, batch, stored, least_deaths=min(batch.deaths, 1))


def _faults_of_cancelled(order: Order, batch: Settled, stored: Mapping[str, int]) -> Iterator[str]:
    """Each member had ended before, with its effect, or ends cancelled, without."""
    if order.key in stored:
        yield "on_success came, and it is cancelled"
    for key in order.stored_members + order.called_members:
        state = batch.members.get(key)
        if state not in ENDED:
            yield f"its member {key} is {state}"
        elif key in order.stored_members and (state == "succeeded") != (key in stored):
            yield f"its member {key} is {state}, and stored {stored.get(key, 0)} times"
    yield from _miscounted(order.key, batch, stored, least_deaths=0)


def _miscounted(
    key: str, batch: Settled, stored: Mapping[str, int], least_deaths: int
) -> Iterator[str]:
    """Callbacks but `on_success` that came too rarely, or too often."""
    settled = _times(settled_key(key, ""), stored)
    if settled != batch.generation:
        yield f"on_settled came {settled} times in {batch.generation} generations"
    deaths = _times(death_key(key, ""), stored)
    if not least_deaths <= deaths <= min(batch.deaths, batch.generation):
        yield f"on_first_death came {deaths} times for {batch.deaths} deaths"


def _times(prefix: str, stored: Mapping[str, int]) -> int:
    return sum(times for key, times in stored.items() if key.startswith(prefix))
