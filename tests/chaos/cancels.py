"""What became of orders that were cancelled: the whole effect, or none. Batches are elsewhere."""

from collections.abc import Iterable, Mapping

from tests.chaos.orders import Order, Sort

CANCELLED = (Sort.CANCEL, Sort.STEPS)


def second_key(key: str) -> str:
    """What the second half of such an order stores."""
    return f"{key}.second"


def wrong(
    orders: Iterable[Order], cancelled: set[str], told: set[str], stored: Mapping[str, int]
) -> list[str]:
    """What is wrong with those of the orders that their clients cancelled.

    `cancelled` are they by the system's record, `told` those whose clients were told so.
    """
    return [
        f"{order.key}: {fault}"
        for order in orders
        if order.sort in CANCELLED and (fault := _fault(order, cancelled, told, stored)) is not None
    ]


def _fault(
    order: Order, cancelled: set[str], told: set[str], stored: Mapping[str, int]
) -> str | None:
    key = order.key
    if order.sort is Sort.CANCEL and stored.get(key, 0) != stored.get(second_key(key), 0):
        return "half an effect"
    if key in cancelled and key in stored:
        return "cancelled, and it has its effect"
    if key in told and key not in cancelled:
        return "its client was told that it is cancelled, and it is not"
    return None
