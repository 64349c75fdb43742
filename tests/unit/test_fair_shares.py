"""Whose jobs go next: the bound after which every key is served, and what stays within a share."""

from collections import Counter, defaultdict
from itertools import count
from tracemalloc import get_traced_memory, start, stop

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outbox.relay.admission.fair_shares import QUANTUM_SECONDS, FairShares, Keys

PLENTY = 1_000_000
COSTS = st.sampled_from([0.001, 0.005, 0.02, 0.021, 0.3, 2.0, 60.0])
ROOMS = st.lists(st.integers(1, 12), min_size=1, max_size=6)


def knowing(costs: dict[str, float]) -> FairShares:
    """Shares that have learnt what the keys' jobs cost."""
    shares = FairShares()
    for key, seconds in costs.items():
        shares.learn(key, seconds)
    return shares


def used(
    shares: FairShares, costs: dict[str, float], rooms: list[int], looks: int
) -> dict[str, float]:
    """The run time that keys get in so many looks, while all have plenty of due jobs."""
    seconds: defaultdict[str, float] = defaultdict(float)
    for look in range(looks):
        for (key,), n in shares.share(plenty(*costs), rooms[look % len(rooms)]).items():
            seconds[key] += n * costs[key]
    return seconds


def plenty(*names: str) -> dict[Keys, int]:
    return {(name,): PLENTY for name in names}


@given(
    others=st.lists(COSTS, min_size=1, max_size=8),
    own=COSTS,
    rooms=ROOMS,
    looks_before=st.integers(0, 40),
    was_there=st.booleans(),
    name=st.sampled_from(["a", "k0", "k3x", "z"]),
)
def test_each_key_is_served_before_the_others_used_the_documented_run_time(
    *,
    others: list[float],
    own: float,
    rooms: list[int],
    looks_before: int,
    was_there: bool,
    name: str,
) -> None:
    costs = {f"k{n}y": cost for n, cost in enumerate(others)}
    shares = knowing({**costs, name: own})
    used(shares, {**costs, name: own} if was_there else costs, rooms, looks_before)
    bound = len(costs) * (own + 2 * QUANTUM_SECONDS + max(others))
    waited = 0.0
    for look in count():
        given_now = shares.share(plenty(*costs, name), rooms[look % len(rooms)])
        if given_now.get((name,)):
            break
        waited += sum(n * costs[key] for (key,), n in given_now.items())
        assert waited <= bound + 1e-6


@given(costs=st.lists(COSTS, min_size=2, max_size=6), rooms=ROOMS)
def test_keys_that_have_plenty_get_the_same_run_time(costs: list[float], rooms: list[int]) -> None:
    named = {f"k{n}": cost for n, cost in enumerate(costs)}
    got = used(knowing(named), named, rooms, looks=80)
    most_apart = 2 * QUANTUM_SECONDS + 2 * max(costs)
    assert max(got[key] for key in named) - min(got[key] for key in named) <= most_apart + 1e-6


@given(
    due=st.dictionaries(
        st.lists(st.sampled_from("abcd"), min_size=1, max_size=3, unique=True).map(tuple),
        st.integers(0, 9),
        max_size=12,
    ),
    room=st.integers(0, 40),
    learnt=st.dictionaries(st.sampled_from("abcd"), COSTS),
)
def test_all_that_there_is_room_for_goes_and_no_more(
    due: dict[Keys, int], room: int, learnt: dict[str, float]
) -> None:
    shares = knowing(learnt)
    for _ in range(3):
        admitted = shares.share(due, room)
        assert sum(admitted.values()) == min(room, sum(due.values()))
        assert all(0 < n <= due[keys] for keys, n in admitted.items())


def test_a_backlog_of_millions_does_not_hold_up_one_job() -> None:
    shares = knowing({"noisy": 0.05, "quiet": 0.05})
    for _ in range(100):
        shares.share(plenty("noisy"), 4)
    first = [shares.share({("noisy",): 5_000_000, ("quiet",): 1}, 1) for _ in range(3)]
    assert {("quiet",): 1} in first


def test_a_debt_is_paid_off_while_its_key_has_no_jobs() -> None:
    shares = knowing({"rare": 1.0, "noisy": 0.001})
    assert shares.share({("rare",): 1}, 1) == {("rare",): 1}
    for _ in range(60):
        shares.share(plenty("noisy"), 20)
    admitted = shares.share({("noisy",): PLENTY, ("rare",): 1}, 21)
    assert admitted[("rare",)] == 1


def looks(shares: FairShares, keys: list[str], count: int) -> Counter[str]:
    """What keys get if each look sees the next 100 of them, and there is room for 20 jobs."""
    served: Counter[str] = Counter()
    for look in range(count):
        first = look * 100 % len(keys)
        admitted = shares.share(plenty(*keys[first : first + 100]), 20)
        served.update({key: n for (key,), n in admitted.items()})
    return served


def test_more_keys_than_one_look_sees_all_have_their_turn() -> None:
    keys = [f"k{n:04}" for n in range(1000)]
    served = looks(FairShares(), keys, 100)
    assert set(served.values()) == {2}
    assert set(served) == set(keys)


def test_more_keys_than_are_remembered_all_have_their_turn() -> None:
    keys = [f"k{n:04}" for n in range(1000)]
    assert set(looks(FairShares(remembered=150), keys, 1000)) == set(keys)


def test_a_stream_of_new_keys_holds_up_no_other() -> None:
    shares = knowing({"old": 0.02})
    for look in range(50):
        new = [f"new{look}-{n}" for n in range(10)]
        if shares.share(plenty(*new, "old"), 5).get(("old",)):
            break
    assert look <= 1


def test_a_key_that_its_limits_held_back_keeps_its_place() -> None:
    shares = FairShares()
    shares.share(plenty("a", "b", "held"), 3)
    for _ in range(5):
        assert shares.share(plenty("a", "b") | {("held",): 0}, 2) == {("a",): 1, ("b",): 1}
    assert shares.share(plenty("a", "b", "held"), 1) == {("held",): 1}


@pytest.mark.parametrize("room", [1, 3])
def test_other_keys_take_turns_within_the_first_ones(room: int) -> None:
    shares, got = knowing({"a": 60.0, "b": 0.001}), Counter[Keys]()
    due: dict[Keys, int] = {("a", "x"): PLENTY, ("a", "y"): PLENTY, ("a", "z"): PLENTY}
    for _ in range(30):
        got.update(shares.share(due, room))
    assert set(got.values()) == {10 * room}


def test_a_key_gets_one_job_a_turn_until_its_run_time_is_learnt() -> None:
    shares = FairShares()
    assert shares.share(plenty("a", "b", "c"), 6) == {("a",): 2, ("b",): 2, ("c",): 2}
    shares.learn("a", 0.005)
    assert shares.share(plenty("a", "b", "c"), 6) == {("a",): 4, ("b",): 1, ("c",): 1}


@pytest.mark.parametrize("seconds", [0.0, -5.0, float("inf")])
def test_an_odd_run_time_stops_nobody(seconds: float) -> None:
    shares = knowing({"odd": seconds, "other": 0.02})
    for _ in range(50):
        assert sum(shares.share(plenty("odd", "other"), 3).values()) == 3
    assert shares.share({("odd",): 1}, 1) == {("odd",): 1}


def test_a_million_keys_are_not_remembered() -> None:
    shares = FairShares(remembered=100)
    start()
    try:
        for n in range(2_000):
            shares.learn(f"tenant:{n}", 0.1)
            shares.share({(f"customer:{n}",): 1}, 1)
        grown, _ = get_traced_memory()
    finally:
        stop()
    assert grown < 100_000
