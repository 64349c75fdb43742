"""Which queue gets a free thread."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outbox.worker.claimer import Slots

SLOW, URGENT = "slow", "urgent"


def test_a_queue_that_takes_all_it_gets_leaves_one_thread_to_each_other() -> None:
    shares = Slots[str](4, [SLOW, URGENT, "third"])
    for number in range(10):
        shares.add(SLOW, f"s{number}")
    assert [shares.take() for _ in range(3)] == ["s0", "s1", None]

    shares.add(URGENT, "u0")
    shares.add("third", "t0")
    assert {shares.take(), shares.take()} == {"u0", "t0"}
    assert shares.take() is None


def test_a_single_queue_has_all_threads() -> None:
    shares = Slots[int](3, [SLOW])
    for number in range(4):
        shares.add(SLOW, number)
    assert [shares.take() for _ in range(4)] == [0, 1, 2, None]
    shares.release(SLOW)
    assert shares.take() == 3


def test_queues_that_all_wait_get_the_shared_threads_in_turns() -> None:
    shares = Slots[str](6, [SLOW, URGENT])
    for _ in range(6):
        shares.add(SLOW, SLOW)
    for _ in range(6):
        shares.add(URGENT, URGENT)
    assert [shares.take() for _ in range(6)] == [SLOW, URGENT] * 3


def test_fewer_threads_than_queues_are_refused() -> None:
    with pytest.raises(ValueError, match="2 threads are too few: each of the 3 queues"):
        Slots[str](2, ["a", "b", "c"])


@given(
    st.integers(0, 5),
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["add", "release"])), max_size=200),
)
def test_no_thread_idles_that_could_work_and_none_is_given_twice(
    shared: int, events: list[tuple[str, str]]
) -> None:
    shares = Slots[str](3 + shared, "abc")
    waiting, busy = Counter[str](), Counter[str]()
    for queue, event in events:
        if event == "add":
            shares.add(queue, queue)
            waiting[queue] += 1
        elif busy[queue]:
            shares.release(queue)
            busy[queue] -= 1
        while taken := shares.take():
            waiting[taken] -= 1
            busy[taken] += 1
        assert busy.total() <= 3 + shared
        beyond_own = sum(max(each - 1, 0) for each in busy.values())
        assert beyond_own <= shared
        for each in "abc":
            assert not waiting[each] or (busy[each] and beyond_own == shared)
        assert len(shares) == waiting.total()


def test_a_queue_that_is_not_among_them_has_the_shared_slots() -> None:
    slots = Slots[str](2, ["a"])
    for message in ("moved 1", "moved 2"):
        slots.add("b", message)
    slots.add("a", "own")
    assert slots.take() == "own"
    assert slots.take() == "moved 1"
    assert slots.take() is None
    slots.release("b")
    assert slots.take() == "moved 2"
    assert slots.most_of("b") == 0


def test_a_queue_that_is_not_among_them_takes_no_reserved_slot() -> None:
    slots = Slots[str](1, ["a"])
    slots.add("b", "moved")
    assert slots.take() is None
    slots.add("a", "own")
    assert slots.take() == "own"
