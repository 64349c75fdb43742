"""The plan is the seed's alone, and leaves no fault out."""

from random import Random

from tests.chaos import orders, plan
from tests.chaos.faults import FAULTS, STRIKES, choose


def test_the_same_seed_draws_the_same_orders_and_blows() -> None:
    assert orders.draw(Random(7), 100) == orders.draw(Random(7), 100)
    assert plan.draw(Random(7), FAULTS, 300) == plan.draw(Random(7), FAULTS, 300)
    assert plan.draw(Random(7), FAULTS, 300) != plan.draw(Random(8), FAULTS, 300)


def test_every_fault_strikes_however_short_the_storm() -> None:
    for seconds in (10, 60, 600):
        blows = plan.draw(Random(7), FAULTS, seconds)
        assert {str(blow.fault) for blow in blows} == set(map(str, FAULTS))
        assert all(0 <= blow.at <= seconds for blow in blows)


def test_without_faults_nothing_strikes() -> None:
    assert plan.draw(Random(7), [], 60) == []


def test_faults_are_chosen_by_their_own_name_or_their_parts() -> None:
    assert {fault.part for fault in choose(["worker"], [])} == {"worker"}
    assert [str(fault) for fault in choose(["broker: wiped"], [])] == ["broker: wiped"]
    rest = choose(["all"], ["postgres", "broker: wiped"])
    assert len(rest) == len(FAULTS) - len(STRIKES["postgres"]) - 1


def test_every_sort_of_order_is_drawn() -> None:
    assert {order.sort for order in orders.draw(Random(7), 500)} == set(orders.SHARES)
    assert {order.sort for order in orders.draw_with_more(Random(7), 500)} == set(orders.Sort)


def test_a_system_that_has_more_gets_the_orders_of_the_others_too() -> None:
    more = {order.key: order for order in orders.draw_with_more(Random(7), 500)}
    assert len(more) == 500 + 5 * sum(orders.MORE.values())
    assert all(more[order.key] == order for order in orders.draw(Random(7), 500))
