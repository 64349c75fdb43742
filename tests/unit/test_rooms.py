"""How much the relay publishes, and how much of it may be replayed jobs."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outbox.frontier import Event
from outbox.rooms import Room, Rooms
from outbox.wire import Dispatch

NEVER: Callable[[], float] = lambda: 0.0  # noqa: E731 - short for a parameter


def measured(window: int, depth: int) -> Room:
    rooms = Rooms(window, NEVER)
    rooms.measure({"q": depth})
    ((_, room),) = rooms.items()
    return room


def events(fresh: int, replayed: int) -> list[Event]:
    dispatch = Dispatch("id", 1, "kind", "q")
    now = datetime.now(UTC)
    return [Event(dispatch, 1, now)] * fresh + [Event(dispatch, 4, now)] * replayed


@pytest.mark.parametrize(
    ("depth", "messages", "replays"),
    [
        (0, 1000, 100),
        (50, 950, 50),
        (80, 920, 0),  # a few are not worth a batch
        (100, 900, 90),  # fresh jobs are there: one in ten
        (700, 300, 30),
        (751, 0, 0),
        (5000, 0, 0),
    ],
)
def test_replayed_jobs_have_a_tenth_of_the_window(depth: int, messages: int, replays: int) -> None:
    assert measured(1000, depth) == Room(messages, replays)


def test_a_window_of_a_few_lets_a_replayed_job_through_by_chance() -> None:
    rooms = Rooms(8, lambda: 0.7)
    rooms.measure({"q": 4})
    assert dict(rooms.items()) == {"q": Room(4, 1)}


def test_replayed_jobs_that_wait_for_room_make_it_worth_to_measure_again() -> None:
    rooms = Rooms(1000, NEVER)
    rooms.measure({"q": 0})
    assert not rooms.is_lacking
    rooms.spend(events(fresh=5, replayed=99))
    assert not rooms.is_lacking
    rooms.spend(events(fresh=0, replayed=1))
    assert rooms.is_lacking
    rooms.measure({"q": 99})
    rooms.spend([])
    assert rooms.is_lacking
    rooms.measure({"q": 0})
    rooms.spend(events(fresh=0, replayed=3))
    assert not rooms.is_lacking


@given(st.integers(1, 5000), st.integers(0, 6000), st.floats(0, 1, exclude_max=True))
def test_no_queue_is_filled_beyond_its_window_nor_by_replayed_jobs_alone(
    window: int, depth: int, chance: float
) -> None:
    rooms = Rooms(window, lambda: chance)
    rooms.measure({"q": depth})
    ((_, room),) = rooms.items()
    assert 0 <= room.messages <= max(window - depth, 0)
    tenth = max(window // 10, 1)
    if depth < tenth:
        assert 0 <= room.replays <= tenth - depth
    else:
        assert 0 <= room.replays <= room.messages / 10 + 1
