"""What became of batches: their members' effects against the callbacks that came."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from tests.chaos.orders import Order, Sort

Calls = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Settled:
    """A batch as the system shows it at the end."""

    outcome: str | None
    generation: int = 1
    deaths: int = 0
    """How often members of it have died."""


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
) -> list[str]:
    """What is wrong with those of the orders that are batches."""
    return [
        f"{order.key}: {fault}"
        for order in orders
        if order.sort is Sort.BATCH
        for fault in _faults(order, found.get(order.key), stored, calls)
    ]


def _faults(
    order: Order, batch: Settled | None, stored: Mapping[str, int], calls: Calls
) -> Iterator[str]:
    if batch is None:
        yield "there is no such batch"
        return
    if batch.outcome != "succeeded":
        yield f"its outcome is {batch.outcome}"
    without = [key for key in order.stored_members if key not in stored]
    without += [key for key in order.called_members if key not in calls]
    if without:
        yield f"members without an effect: {', '.join(without)}"
    if early_key(order.key) in stored:
        yield "a callback came before the last member had ended"
    yield from _miscounted(order.key, batch, stored)


def _miscounted(key: str, batch: Settled, stored: Mapping[str, int]) -> Iterator[str]:
    """Callbacks that came too rarely, or too often."""
    if (times := stored.get(key, 0)) != 1:
        yield f"on_success came {times} times"
    settled = _times(settled_key(key, ""), stored)
    if settled != batch.generation:
        yield f"on_settled came {settled} times in {batch.generation} generations"
    deaths = _times(death_key(key, ""), stored)
    if not bool(batch.deaths) <= deaths <= min(batch.deaths, batch.generation):
        yield f"on_first_death came {deaths} times for {batch.deaths} deaths"


def _times(prefix: str, stored: Mapping[str, int]) -> int:
    return sum(times for key, times in stored.items() if key.startswith(prefix))
