"""What became of orders done in steps: each row once, and whole steps of those cancelled."""

from collections.abc import Iterable, Mapping

from tests.chaos.orders import Order, Sort

STEPS = 8
ROWS = 6
"""How many rows a step stores."""


def row_key(key: str, row: int) -> str:
    """What the row of this number stores; they are counted over all steps."""
    return f"{key}.row.{row}"


def wrong(orders: Iterable[Order], stored: Mapping[str, int]) -> list[str]:
    """What is wrong with those of the orders that are done in steps."""
    return [
        f"{order.key}: {fault}"
        for order in orders
        if order.sort is Sort.STEPS and (fault := _fault(order.key, stored)) is not None
    ]


def _fault(key: str, stored: Mapping[str, int]) -> str | None:
    times = [stored.get(row_key(key, row), 0) for row in range(STEPS * ROWS)]
    done = sum(map(bool, times))
    if max(times) > 1:
        return f"row {times.index(max(times))} is stored {max(times)} times"
    if not all(times[:done]):
        return f"row {times.index(0)} was skipped"
    if done % ROWS:
        return f"half a step: {done} rows"
    if key in stored and done < len(times):
        return f"it ended after {done} rows of {len(times)}"
    return None
