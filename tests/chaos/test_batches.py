"""The oracle finds callbacks that come too often, too rarely, or too early."""

from collections import Counter

import pytest

from tests.chaos.batches import Settled, wrong
from tests.chaos.orders import Order, Sort

ORDER = Order(key="b", sort=Sort.BATCH, failures=1)
CALLS = {key: Counter({"id": 1}) for key in ORDER.called_members}
MEMBERS = dict.fromkeys(ORDER.stored_members, 1)
STORED = MEMBERS | {"b": 1, "b.settled.1": 1, "b.settled.2": 1, "b.death.1": 1}
FOUND = Settled("succeeded", generation=2, deaths=1)
UNWANTED = Order(key="b", sort=Sort.BATCH, cancel_after=1)
STATES = dict.fromkeys(ORDER.stored_members + ORDER.called_members, "cancelled")
STATES |= {"b.0": "succeeded", "b.1": "dead"}
HELD = {"b.0": 1, "b.settled.1": 1}


def faults(stored: dict[str, int], found: Settled = FOUND) -> list[str]:
    return wrong([ORDER], {"b": found}, stored, CALLS)


def without(key: str) -> dict[str, int]:
    return {each: times for each, times in STORED.items() if each != key}


def test_all_is_well_where_each_callback_came_once_in_its_generation() -> None:
    assert faults(STORED) == []


def test_a_batch_of_an_accepted_order_has_to_be_there() -> None:
    assert wrong([ORDER], {}, STORED, CALLS) == ["b: there is no such batch"]


@pytest.mark.parametrize(
    ("stored", "fault"),
    [
        (without("b"), "on_success came 0 times"),
        (STORED | {"b": 2}, "on_success came 2 times"),
        (without("b.settled.2"), "on_settled came 1 times in 2 generations"),
        (STORED | {"b.settled.2": 2}, "on_settled came 3 times in 2 generations"),
        (STORED | {"b.settled.3": 1}, "on_settled came 3 times in 2 generations"),
        (without("b.death.1"), "on_first_death came 0 times for 1 deaths"),
        (STORED | {"b.death.2": 1}, "on_first_death came 2 times for 1 deaths"),
        (STORED | {"b.early": 1}, "a callback came before the last member had ended"),
        (without("b.7"), "members without an effect: b.7"),
    ],
)
def test_a_broken_record_is_told(stored: dict[str, int], fault: str) -> None:
    assert faults(stored) == [f"b: {fault}"]


def test_a_member_that_should_have_called_and_did_not_is_told() -> None:
    calls = {key: CALLS[key] for key in ORDER.called_members[1:]}
    found = wrong([ORDER], {"b": FOUND}, STORED, calls)
    assert found == [f"b: members without an effect: {ORDER.called_members[0]}"]


def test_a_batch_that_did_not_succeed_is_told() -> None:
    assert faults(STORED, Settled("dead", 2, 1)) == ["b: its outcome is dead"]
    assert faults(STORED, Settled(None, 2, 1)) == ["b: its outcome is None"]


def faults_of_unwanted(stored: dict[str, int], found: Settled) -> list[str]:
    return wrong([UNWANTED], {"b": found}, stored, {}, told={"b"})


def test_a_cancelled_batch_is_well_where_each_member_ended_with_its_effect_or_without() -> None:
    found = Settled("cancelled", deaths=1, members=STATES)
    assert faults_of_unwanted(HELD, found) == []
    assert faults_of_unwanted(HELD | {"b.death.1": 1}, found) == []


@pytest.mark.parametrize(
    ("stored", "states", "fault"),
    [
        (HELD | {"b": 1}, {}, "on_success came, and it is cancelled"),
        (HELD, {"b.2": "running"}, "its member b.2 is running"),
        (HELD, {"b.17": "queued"}, "its member b.17 is queued"),
        (HELD | {"b.2": 1}, {}, "its member b.2 is cancelled, and stored 1 times"),
        (HELD, {"b.2": "succeeded"}, "its member b.2 is succeeded, and stored 0 times"),
        ({"b.0": 1}, {}, "on_settled came 0 times in 1 generations"),
        (HELD | {"b.death.1": 2}, {}, "on_first_death came 2 times for 1 deaths"),
    ],
)
def test_a_cancelled_batch_that_breaks_its_promise_is_told(
    stored: dict[str, int], states: dict[str, str], fault: str
) -> None:
    found = Settled("cancelled", deaths=1, members=STATES | states)
    assert faults_of_unwanted(stored, found) == [f"b: {fault}"]


def test_a_client_that_was_told_so_in_vain_is_told() -> None:
    told = "its client was told that it is cancelled, and its outcome is succeeded"
    assert faults_of_unwanted(HELD, Settled("succeeded")) == [f"b: {told}"]
