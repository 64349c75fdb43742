"""How much the relay publishes, and how much of it may be replayed jobs."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outbox.amqp.messages import Dispatch
from outbox.relay.capacity import Capacity, QueueCapacity, Room
from outbox.relay.scan_cursor import Event

NORMAL = 1


def room_of(capacity: Capacity) -> QueueCapacity:
    ((_, room),) = capacity.items()
    return room


def is_short(capacity: Capacity) -> bool:
    return capacity.room is Room.SHORT


def events(*, fresh: int = 0, replayed: int = 0, priority: int = NORMAL) -> list[Event]:
    dispatch = Dispatch("id", 1, "kind", "q")
    now = datetime.now(UTC)
    return [Event(dispatch, priority, now)] * fresh + [
        Event(dispatch, priority + 3, now)
    ] * replayed


@pytest.mark.parametrize(
    ("depth", "messages", "replays"),
    [
        (0, 1000, 100),
        (50, 950, 50),
        (75, 925, 25),
        (76, 924, 0),  # a few are not worth a batch
        (100, 900, 0),
        (750, 250, 0),
        (751, 0, 0),
        (5000, 0, 0),
    ],
)
def test_replayed_jobs_by_themselves_have_a_tenth_of_the_window(
    depth: int, messages: int, replays: int
) -> None:
    capacity = Capacity(1000)
    capacity.measure({"q": depth})
    assert room_of(capacity) == QueueCapacity(messages, [replays] * 3)


def test_nine_fresh_jobs_let_one_replayed_job_of_their_priority_through() -> None:
    capacity = Capacity(1000)
    capacity.measure({"q": 500})
    capacity.spend(events(fresh=20))
    capacity.measure({"q": 500})
    assert room_of(capacity).replays == [0, 2, 0]
    capacity.spend(events(fresh=7, replayed=2))
    capacity.measure({"q": 500})
    assert room_of(capacity).replays == [0, 1, 0]


def test_a_window_of_a_few_lets_a_replayed_job_through_in_the_end() -> None:
    capacity = Capacity(8)
    for _ in range(5):
        capacity.measure({"q": 6})
        assert room_of(capacity).replays[NORMAL] == 0
        capacity.spend(events(fresh=2))
    capacity.measure({"q": 6})
    assert room_of(capacity).replays[NORMAL] == 1


@pytest.mark.parametrize(
    ("depths", "room"),
    [
        ({}, Room.ENOUGH),
        ({"q": 0, "other": 750}, Room.ENOUGH),
        ({"q": 0, "other": 751}, Room.SHORT),
        ({"q": 1000, "other": 751}, Room.NONE),
    ],
)
def test_there_is_room_as_long_as_a_queue_takes_messages(
    depths: dict[str, int], room: Room
) -> None:
    capacity = Capacity(1000)
    capacity.measure(depths)
    assert capacity.room is room


def test_replayed_jobs_that_wait_for_room_make_it_worth_to_measure_again() -> None:
    capacity = Capacity(1000)
    capacity.measure({"q": 0})
    assert not is_short(capacity)
    capacity.spend(events(fresh=5, replayed=99))
    assert not is_short(capacity)
    capacity.spend(events(replayed=1))
    assert is_short(capacity)
    capacity.measure({"q": 99})
    capacity.spend([])
    assert is_short(capacity)
    capacity.measure({"q": 0})
    capacity.spend([])
    assert not is_short(capacity)


@given(
    st.sampled_from([8, 100, 400, 1000]),
    st.integers(1, 2),
    st.lists(st.integers(0, 300), min_size=1, max_size=60),
)
def test_replayed_jobs_alone_never_fill_more_than_a_tenth_for_each_relay(
    window: int, relays: int, done: list[int]
) -> None:
    all_capacities = [Capacity(window) for _ in range(relays)]
    depth = 0
    for count in done:
        for capacity in all_capacities:  # both measure before either publishes
            capacity.measure({"q": depth})
        for capacity in all_capacities:
            taken = min(room_of(capacity).messages, room_of(capacity).replays[NORMAL])
            capacity.spend(events(replayed=taken))
            depth += taken
        assert depth <= relays * max(window // 10, 1)
        depth = max(depth - count, 0)


@given(
    st.sampled_from([8, 100, 1000]),
    st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000)), max_size=60),
)
def test_beside_fresh_jobs_one_in_ten_is_a_replayed_one(
    window: int, turns: list[tuple[int, int]]
) -> None:
    capacity, fresh_taken, replayed_taken = Capacity(window), 0, 0
    tenth = max(window // 10, 1)
    for depth, fresh in turns:
        capacity.measure({"q": max(depth, tenth)})
        room = room_of(capacity)
        replayed = min(room.messages, room.replays[NORMAL])
        took = min(room.messages - replayed, fresh)
        capacity.spend(events(fresh=took, replayed=replayed))
        fresh_taken, replayed_taken = fresh_taken + took, replayed_taken + replayed
        assert replayed_taken <= fresh_taken / 9
