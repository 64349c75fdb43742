"""The oracle finds messages that did not arrive, and foreign ones that are not one job."""

import pytest

from tests.chaos.messages import wrong
from tests.chaos.orders import Order, Sort

ORDERS = [Order(key="event", sort=Sort.EVENT), Order(key="foreign", sort=Sort.FOREIGN)]
PUBLISHED = {"event": "m1"}
ONE = {"foreign": 1}


def test_a_message_may_arrive_again_and_so_may_one_of_a_transaction_that_was_lost() -> None:
    assert wrong(ORDERS, PUBLISHED, {"event": ["m0", "m1", "m1"]}, ONE) == []


@pytest.mark.parametrize(
    ("published", "received", "fault"),
    [
        ({}, {"event": ["m1"]}, "event: its message was not published"),
        (PUBLISHED, {}, "event: its message m1 did not arrive, but none"),
        (PUBLISHED, {"event": ["m2"]}, "event: its message m1 did not arrive, but m2"),
    ],
)
def test_a_message_that_did_not_arrive_is_told(
    published: dict[str, str], received: dict[str, list[str]], fault: str
) -> None:
    assert wrong(ORDERS, published, received, ONE) == [fault]


@pytest.mark.parametrize("jobs", [0, 2])
def test_a_foreign_message_that_is_not_one_job_is_told(jobs: int) -> None:
    fault = f"foreign: its message became {jobs} jobs"
    assert wrong(ORDERS, PUBLISHED, {"event": ["m1"]}, {"foreign": jobs}) == [fault]
