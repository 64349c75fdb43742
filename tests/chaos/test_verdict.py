"""The oracle finds what is wrong: each way for an order to end, and each broken promise."""

from collections import Counter
from dataclasses import replace

import pytest

from tests.chaos import steps
from tests.chaos.accounts import Run, Wish
from tests.chaos.batches import Settled
from tests.chaos.orders import FOR_EVER, Order, Sort
from tests.chaos.remains import Remains
from tests.chaos.steps import row_key
from tests.chaos.ticks import Beat
from tests.chaos.verdict import Evidence, Verdict, judge

QUICK = Order(key="quick", sort=Sort.QUICK)
CALL = Order(key="call", sort=Sort.CALL)
CHAIN = Order(key="chain", sort=Sort.CHAIN)
DOOMED = Order(key="doomed", sort=Sort.DOOMED, failures=FOR_EVER)
CANCEL = Order(key="cancel", sort=Sort.CANCEL)
BATCH = Order(key="batch", sort=Sort.BATCH)
STEPS = Order(key="steps", sort=Sort.STEPS)
ORDERS = [QUICK, CALL, CHAIN, DOOMED, CANCEL, BATCH, STEPS]
ROWS = {row_key("steps", row): 1 for row in range(steps.STEPS * steps.ROWS)}
STEP = {row_key("steps", row): 1 for row in range(steps.ROWS)}
EFFECT = {"cancel": 1, "cancel.second": 1}


def verdict(
    *accepted: Order,
    stored: dict[str, int] | None = None,
    calls: dict[str, Counter[str]] | None = None,
    remains: Remains | None = None,
    told_cancelled: set[str] | None = None,
) -> Verdict:
    """On these orders, with no evidence but what is given."""
    keys = {order.key: (0.0, 1.0) for order in accepted}
    found = Evidence(keys, stored or {}, calls or {}, remains or Remains())
    return judge(ORDERS, replace(found, told_cancelled=told_cancelled or set()))


def test_all_is_well_where_each_order_has_its_effects_and_the_doomed_is_found_dead() -> None:
    found = verdict(
        QUICK,
        CALL,
        CHAIN,
        DOOMED,
        stored={"quick": 1, "chain": 1},
        calls={"call": Counter({"a": 1}), "chain": Counter({"b": 1})},
        remains=Remains(dead={"doomed"}),
    )
    assert (found.accepted, found.succeeded, found.dead, found.broken) == (4, 3, 1, False)


def test_an_accepted_order_without_its_effects_is_lost() -> None:
    found = verdict(QUICK, CALL, CHAIN, stored={"chain": 1})
    assert found.lost == ["quick", "call", "chain"]
    assert found.broken


def test_an_order_that_was_not_accepted_may_have_no_effect() -> None:
    assert not verdict().broken


def test_a_doomed_order_that_nobody_finds_failed_without_a_trace() -> None:
    found = verdict(DOOMED)
    assert (found.failed_without_a_trace, found.lost, found.broken) == (["doomed"], [], True)


def test_an_unfinished_order_is_stuck_even_with_its_effect() -> None:
    found = verdict(QUICK, stored={"quick": 1}, remains=Remains(unfinished={"quick"}))
    assert (found.stuck, found.succeeded, found.broken) == (["quick"], 0, True)


def test_an_order_that_gave_up_although_it_could_succeed_is_dead_and_named() -> None:
    found = verdict(QUICK, remains=Remains(dead={"quick"}))
    assert (found.dead, found.dead_though_able, found.broken) == (1, ["quick"], True)


def test_a_process_that_ended_by_itself_breaks_a_promise() -> None:
    assert judge(ORDERS, Evidence({}, {}, {}, Remains(), fallen=["relay: 1"])).broken


def test_a_second_row_breaks_a_promise_even_of_an_order_that_was_not_accepted() -> None:
    found = verdict(stored={"quick": 2})
    assert (found.stored_twice, found.broken) == (["quick"], True)


def test_a_call_may_come_again_under_its_key_but_not_under_another() -> None:
    again = verdict(CALL, calls={"call": Counter({"a": 3})})
    assert (again.called_again, again.called_under_two_keys, again.broken) == (2, [], False)
    other = verdict(CALL, calls={"call": Counter({"a": 1, "b": 1})})
    assert (other.called_again, other.called_under_two_keys, other.broken) == (0, ["call"], True)


def test_an_order_that_was_cancelled_has_no_effect_and_one_that_was_not_a_whole_one() -> None:
    cancelled = verdict(CANCEL, remains=Remains(cancelled={"cancel"}), told_cancelled={"cancel"})
    assert (cancelled.cancelled, cancelled.interrupted, cancelled.broken) == (1, 0, False)
    done = verdict(CANCEL, stored=EFFECT)
    assert (done.cancelled, done.succeeded, done.broken) == (0, 1, False)


@pytest.mark.parametrize(
    ("stored", "cancelled", "told", "fault"),
    [
        ({"cancel": 1}, set(), set(), "half an effect"),
        ({"cancel.second": 1}, {"cancel"}, {"cancel"}, "half an effect"),
        (EFFECT, {"cancel"}, set(), "cancelled, and it has its effect"),
        (EFFECT, set(), {"cancel"}, "its client was told that it is cancelled, and it is not"),
    ],
)
def test_a_cancel_that_breaks_its_promise_is_told(
    stored: dict[str, int], cancelled: set[str], told: set[str], fault: str
) -> None:
    found = verdict(
        CANCEL, stored=stored, remains=Remains(cancelled=cancelled), told_cancelled=told
    )
    assert (found.cancels_wrong, found.broken) == ([f"cancel: {fault}"], True)


def test_an_order_that_a_cancel_has_lost_is_lost() -> None:
    assert verdict(CANCEL).lost == ["cancel"]


def test_an_order_that_is_cancelled_though_nobody_asked_is_lost() -> None:
    assert verdict(QUICK, remains=Remains(cancelled={"quick"})).lost == ["quick"]


def test_an_order_done_in_steps_may_end_whole_or_cancelled_after_some_steps() -> None:
    done = verdict(STEPS, stored=ROWS | {"steps": 1}, remains=Remains(resumed={"steps"}))
    assert (done.succeeded, done.resumed, done.broken) == (1, 1, False)
    asked = Remains(cancelled={"steps"})
    cancelled = verdict(STEPS, stored=STEP, remains=asked, told_cancelled={"steps"})
    assert (cancelled.cancelled, cancelled.broken) == (1, False)
    both = verdict(STEPS, stored=ROWS | {"steps": 1}, remains=asked)
    assert both.cancels_wrong == ["steps: cancelled, and it has its effect"]


@pytest.mark.parametrize(
    ("stored", "fault"),
    [
        (ROWS | {row_key("steps", 9): 2}, "row 9 is stored 2 times"),
        ({key: 1 for key in ROWS if key != row_key("steps", 5)}, "row 5 was skipped"),
        (STEP | {row_key("steps", 6): 1}, "half a step: 7 rows"),
        (STEP | {"steps": 1}, "it ended after 6 rows of 48"),
    ],
)
def test_a_step_that_breaks_its_promise_is_told(stored: dict[str, int], fault: str) -> None:
    found = verdict(STEPS, stored=stored)
    assert (found.steps_wrong, found.broken) == ([f"steps: {fault}"], True)


def test_a_batch_that_its_client_cancelled_is_not_dead_though_a_member_is() -> None:
    order = BATCH.model_copy(update={"cancel_after": 1})
    members = dict.fromkeys(BATCH.stored_members + BATCH.called_members, "cancelled")
    members["batch.0"] = "dead"
    batch = Settled("cancelled", deaths=1, members=members)
    remains = Remains(dead={"batch"}, cancelled={"batch"}, batches={"batch": batch})
    evidence = Evidence(
        {"batch": (0.0, 1.0)}, {"batch.settled.1": 1}, {}, remains, told_cancelled={"batch"}
    )
    found = judge([order], evidence)
    assert (found.cancelled, found.batches_cancelled, found.broken) == (1, 1, False)


def test_wrong_batches_and_wrong_ticks_break_a_promise() -> None:
    batch = verdict(BATCH, stored={"batch": 1})
    assert (batch.batches_wrong, batch.broken) == (["batch: there is no such batch"], True)
    never = Beat("beat", 2, None, None, [])
    ticks = verdict(remains=Remains(beats=[never]))
    assert (len(ticks.ticks_wrong), ticks.broken) == (1, True)


def test_accounts_and_messages_that_go_wrong_break_a_promise() -> None:
    orders = [Order(key="first", sort=Sort.LIMITED), Order(key="event", sort=Sort.EVENT)]
    told = dict.fromkeys(("first", "event"), (0.0, 1.0))
    came = {"event": Counter({"m": 3})}
    well = Evidence(told, {"first": 1}, {}, Remains(), published={"event": "m"}, received=came)
    found = judge(orders, well)
    assert (found.succeeded, found.repeated_messages, found.broken) == (2, 2, False)
    runs = [Run(str(n), "first", "limited-0", begin=n, last=9) for n in range(3)]
    crowded = judge(orders, replace(well, runs=runs))
    assert (len(crowded.limits_wrong), crowded.broken) == (1, True)
    lost = judge(orders, replace(well, wishes=[Wish("first", "unique-0", "job", None)]))
    assert (len(lost.uniques_wrong), lost.broken) == (1, True)
    silent = judge(orders, replace(well, received={}))
    assert (len(silent.messages_wrong), silent.broken) == (1, True)
