"""What the relay admits: the rules without a server."""

import math
from collections import defaultdict
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi.exceptions import RequestValidationError
from hypothesis import given
from hypothesis import strategies as st

from outbox import Key, Kind, Kinds
from outbox.flow.keys import LARGEST_LIMIT
from outbox.http.routes.jobs.new_job import new_job
from outbox.relay.admission.admission_window import START, AdmissionWindow
from outbox.relay.admission.decision import Decision, Waiting, bounded_keys, open_ones
from outbox.relay.admission.fair_shares import FairShares
from outbox.relay.admission.key_cursor import FEWEST_SOUGHT, KeyCursor
from outbox.relay.admission.limits import Limits
from outbox.relay.admission.pauses import Pauses, Round
from outbox.relay.admission.permits import Permits
from tests.support.engine.line import Note, note_kind

BOTH = note_kind("q", "both", key=(Key(lambda n: n.text), Key(lambda _: "all", at_most=3)))
ONE = note_kind("q", "one", key=Key(lambda n: n.text, ordered=True, hold=True))
LIMITS = Limits(Kinds(BOTH, ONE, note_kind("q", "free")))


def of(*keys: str, kind: str = "one", level: int = 1) -> Waiting:
    return Waiting("q", level, kind, keys)


def decide(
    due: dict[Waiting, int], room: int = 100, held: dict[str, int] | None = None
) -> dict[Waiting, int]:
    everywhere = dict.fromkeys(bounded_keys(due, LIMITS), 0)
    locked = everywhere if held is None else held
    decision = Decision(LIMITS, defaultdict(FairShares), locked, Permits({}, {}))
    assert decision.grant(due, room) == sum(decision.grants.values())
    return decision.grants


def test_each_key_gets_as_many_as_its_limit_leaves() -> None:
    assert decide({of("a"): 5, of("b"): 5}) == {of("a"): 1, of("b"): 1}
    assert decide({of("a"): 5, of("b"): 5}, held={"a": 1, "b": 0}) == {of("b"): 1}
    assert decide({of("a"): 5}, held={"a": 7}) == {}


def test_a_key_that_another_relay_has_locked_gets_nothing() -> None:
    assert decide({of("a"): 5, of("b"): 5}, held={"b": 0}) == {of("b"): 1}


def test_a_limit_is_shared_by_all_that_have_the_key() -> None:
    due = {of("a", "all", kind="both"): 5, of("b", "all", kind="both"): 5}
    granted = decide(due)
    assert sum(granted.values()) == 3
    assert set(granted) == set(due)


def test_kinds_with_an_equal_key_share_its_limit() -> None:
    granted = decide({of("a"): 1, of("a", kind="unknown"): 1})
    assert sum(granted.values()) == 1


def test_a_kind_that_is_not_declared_has_a_limit_of_one_and_one_without_keys_has_none() -> None:
    assert decide({of("a", kind="unknown"): 9, of("b", kind="free"): 9}) == {
        of("a", kind="unknown"): 1,
        of("b", kind="free"): 9,
    }


def test_the_higher_priority_comes_first_and_replays_have_a_tenth() -> None:
    low, high, replayed = (of("a", kind="free", level=level) for level in (2, 0, 3))
    assert decide({low: 50, high: 50, replayed: 50}, 20) == {replayed: 2, high: 18}
    assert decide({low: 50, replayed: 5}, 20) == {replayed: 5, low: 15}


def test_the_keys_to_lock_are_in_order_and_only_those_with_a_limit() -> None:
    waiting = [of("z"), of("t", "all", kind="both"), of("a"), of("y", kind="free")]
    assert bounded_keys(waiting, LIMITS) == ["a", "all", "z"]


def test_what_was_full_at_the_last_look_is_left_out() -> None:
    waiting = [of("a"), of("b"), of("a", kind="free")]
    assert open_ones(waiting, LIMITS, {"a": 1}) == [of("b"), of("a", kind="free")]


def test_which_kinds_hold_their_keys() -> None:
    assert LIMITS.held == ["one"]


names = st.sampled_from("abc")
waiting = st.builds(
    lambda level, kind, key: of(
        *(("t:" + key, "all") if kind == "both" else (key,)), kind=kind, level=level
    ),
    st.integers(0, 5),
    st.sampled_from(["one", "both", "free", "unknown"]),
    names,
)


@given(
    due=st.dictionaries(waiting, st.integers(1, 9), max_size=12),
    room=st.integers(0, 20),
    held=st.dictionaries(st.sampled_from(["a", "b", "c", "all"]), st.integers(0, 4)),
)
def test_no_limit_and_no_room_is_ever_exceeded(
    due: dict[Waiting, int], room: int, held: dict[str, int]
) -> None:
    granted = decide(due, room, held)
    assert sum(granted.values()) <= room
    assert all(0 < count <= due[each] for each, count in granted.items())
    for each in granted:
        assert all(key in held for key in LIMITS.of(each.kind, each.keys))
    for key in "all", *"abc":
        limited = [each for each in granted if key in LIMITS.of(each.kind, each.keys)]
        own = sum(granted[each] for each in limited)
        most = max((LIMITS.of(each.kind, each.keys)[key] for each in limited), default=0)
        assert not own or held[key] + own <= most


def test_a_window_that_is_found_empty_doubles_and_one_where_jobs_wait_follows_their_rate() -> None:
    window = AdmissionWindow(1000)
    assert window.room("q", 0, 0, 0.0) == START
    window.admitted("q", START, is_full=True)
    assert window.room("q", 0, 0, 0.02) == 2 * START
    window.admitted("q", 2 * START, is_full=True)
    for n in range(100):
        window.room("q", 32, 3, 0.04 + n * 0.02)  # nothing begins
    assert window.room("q", 0, 3, 3.0) == 4  # twice one less than the running ones
    assert AdmissionWindow(5).room("q", 0, 0, 0.0) == 5


@pytest.mark.parametrize(("interval", "most_seconds"), [(0.01, 0.11), (0.05, 0.2)])
def test_a_window_holds_what_begins_soon(interval: float, most_seconds: float) -> None:
    line = _Line(interval, to_worker=0.0)
    line.work(10, per_second=500)
    assert line.unclaimed <= most_seconds * 500
    assert line.starved == 0


def test_a_window_grows_where_the_way_to_a_worker_is_longer_than_a_round() -> None:
    line = _Line(0.05, to_worker=0.08)
    line.work(20, per_second=2000)
    assert line.starved < 25


class _Line:
    """Workers that take jobs at a rate, which arrive some time after their admission."""

    def __init__(self, interval: float, to_worker: float) -> None:
        self._window, self._interval = AdmissionWindow(10_000), interval
        self._delay = round(to_worker / interval)
        self._on_their_way = [0] * self._delay
        self._arrived = 0
        self.starved = 0
        """In how many of the last hundred rounds workers had too few jobs."""

    @property
    def unclaimed(self) -> int:
        return self._arrived + sum(self._on_their_way)

    def work(self, seconds: float, per_second: int) -> None:
        rounds, wanted = round(seconds / self._interval), round(per_second * self._interval)
        for n in range(rounds):
            depth = max(self._arrived - wanted, 0)
            room = self._window.room("q", self.unclaimed, 0, n * self._interval, depth)
            self._window.admitted("q", room, is_full=True)
            self._on_their_way.append(room)
            self._arrived += self._on_their_way.pop(0)
            self.starved += n >= rounds - 100 and self._arrived < wanted
            self._arrived = max(self._arrived - wanted, 0)


def test_a_window_does_not_grow_while_all_workers_are_busy() -> None:
    window = AdmissionWindow(1000)
    for n in range(500):
        room = window.room("q", 20, 16, n * 0.02, 0)
        window.admitted("q", room, is_full=True)
    assert room == 0


def test_jobs_that_a_stopped_worker_has_hold_no_others_up() -> None:
    window = AdmissionWindow(1000)
    window.admitted("q", window.room("q", 0, 0, 0.0, 0), is_full=False)
    assert not any(window.room("q", 11, 5, n * 0.1, 0) for n in range(1, 30))
    assert all(window.room("q", 11, 3, n * 0.1, 0, late=11) for n in range(30, 100))


def test_jobs_that_wait_in_the_broker_count_for_as_long_as_they_wait() -> None:
    window = AdmissionWindow(1000)
    window.admitted("q", window.room("q", 0, 0, 0.0, 0), is_full=True)
    assert not any(window.room("q", START, 0, n * 0.1, START, START) for n in range(1, 100))


def test_jobs_that_wait_for_busy_workers_count_for_as_long_as_they_wait() -> None:
    window = AdmissionWindow(1000)
    window.admitted("q", window.room("q", 0, 16, 0.0, 0), is_full=True)
    assert not any(window.room("q", 40, 16, n * 0.1, 0, late=40) for n in range(1, 100))


def test_a_large_window_is_refilled_in_parts() -> None:
    window = AdmissionWindow(100)
    window.room("q", 0, 101, 0.0)
    window.admitted("q", START, is_full=True)
    assert window.room("q", 76, 101, 0.1) == 0
    assert window.room("q", 75, 101, 0.2) == 25
    assert AdmissionWindow(40).room("q", 39, 50, 0.3) == 1


def rounds_of(*rounds: tuple[float, int, bool, bool]) -> list[tuple[float, float]]:
    pauses = Pauses()
    return [pauses.after(Round(*each)) for each in rounds]


def test_rounds_take_a_third_of_the_time_at_most() -> None:
    assert [
        shortest for shortest, _ in rounds_of(*((n, 1, False, False) for n in (0.001, 0.01)))
    ] == [
        0.005,
        0.02,
    ]


def test_a_round_that_leaves_keys_and_room_is_followed_by_another_and_others_wait() -> None:
    going_on, full, done = (0.01, 1, True, True), (0.01, 1, False, True), (0.01, 1, False, False)
    assert [longest for _, longest in rounds_of(going_on, full, done)] == [0.02, 0.1, 1.0]


def test_a_search_through_all_keys_that_found_nothing_takes_a_tenth_of_the_time() -> None:
    part, end, long_end = (0.2, 0, True, False), (0.1, 0, False, False), (0.9, 0, False, False)
    assert [longest for _, longest in rounds_of(part, end, end, long_end)] == [
        0.05,
        pytest.approx(2.7),
        1.0,
        5.0,
    ]


def waits(*rounds: Round) -> list[float]:
    pauses = Pauses()
    return [round(pauses.after(each)[1], 6) for each in rounds]


def test_the_next_round_begins_once_a_key_has_a_permit() -> None:
    quick = Round(0.001, 1, goes_on=False, is_full=False, permit_in=0.3)
    soon, late = replace(quick, permit_in=-0.01), replace(quick, permit_in=math.inf)
    assert waits(quick, soon, late) == [0.3, 0.05, 1.0]
    assert waits(replace(soon, is_full=True), replace(quick, is_full=True)) == [0.05, 0.1]
    assert waits(replace(late, goes_on=True)) == [0.005]


def test_searches_for_permits_take_a_tenth_of_the_time_and_delay_them_by_a_second() -> None:
    part = Round(0.03, 0, goes_on=True, is_full=False, permit_in=0.0)
    full, end = replace(part, goes_on=False, is_full=True), replace(part, goes_on=False)
    assert waits(part, end, end) == [0.03, 0.54, 0.27]
    assert waits(full, end) == [0.05, 0.27]
    assert waits(replace(end, seconds=10.0)) == [1.0]


def test_a_scan_looks_at_as_many_keys_as_it_takes_to_find_what_there_is_room_for() -> None:
    cursor = KeyCursor()
    cursor.advance([SimpleNamespace(queue="q", level=1, kind="a", keys=["k"], goes_on=True)])
    cursor.aim(32, 96)
    assert cursor.sought == 3 * FEWEST_SOUGHT
    cursor.aim(0, 96)
    assert cursor.sought == 4 * 3 * FEWEST_SOUGHT
    cursor.aim(1000, 100)
    assert cursor.sought == 76
    cursor.advance([])
    cursor.aim(1, 100)
    assert cursor.sought == 76


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"at_most": 0}, "at_most: 0 is not 1 to 1,000,000"),
        ({"at_most": 10**9}, "at_most: 1000000000 is not"),
        ({"at_most": True}, "at_most: True is not 1 to 1,000,000"),
        ({"at_most": True, "ordered": True}, "at_most: True is not"),
        ({"at_most": 1.5}, "at_most: 1.5 is not"),
        ({"at_most": "5"}, "at_most: '5' is not"),
        ({"at_most": 2, "ordered": True}, "an ordered key has at most 1"),
        ({"hold": True}, "only a key with a limit is held"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(options: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Key(lambda _: "a", **options)


def test_only_the_first_key_has_an_order() -> None:
    with pytest.raises(ValueError, match=r"^test\.note: only the first key can be ordered or held"):
        note_kind("q", key=(Key(lambda _: "a"), Key(lambda _: "b", ordered=True)))
    with pytest.raises(ValueError, match=r"^test\.note: a key is a function"):
        note_kind("q", key="customer")


def test_a_kind_has_its_keys_as_a_tuple() -> None:
    assert note_kind("q").keys == ()
    plain: Kind[..., Note] = note_kind("q", key=lambda note: note.text)
    assert [key.at_most for key in plain.keys] == [None]
    assert plain(text="a").keys() == ["a"]
    assert not plain.is_limited
    assert ONE.is_limited
    assert ONE.is_ordered
    assert Key(lambda _: "a", at_most=LARGEST_LIMIT).at_most == LARGEST_LIMIT


def test_two_equal_keys_of_a_job_are_refused() -> None:
    kind = note_kind("q", key=(lambda n: n.text, lambda n: n.secret))
    with pytest.raises(ValueError, match=r"^test\.note: two of its keys are equal"):
        kind(text="a", secret="a").keys()


def test_a_key_that_cannot_be_made_is_named_where_there_are_others() -> None:
    def unlucky(_: Note) -> str:
        raise KeyError("secret")

    kind = note_kind("q", key=(lambda n: n.text, unlucky))
    for text, why in (
        ("a", "key 2 of 2: its key function raised KeyError"),
        ("", "key 1 of 2: its key is not 1 to 200 printable characters"),
    ):
        with pytest.raises(ValueError, match=f"^test\\.note: {why}$"):
            kind(text=text).keys()


def test_a_payload_over_http_that_makes_no_key_is_the_clients_mistake() -> None:
    kind = note_kind("q", key=lambda n: n.text)
    new = new_job(Kinds(kind))
    assert new(kind=kind.name, payload={"text": "a"}).work().keys() == ["a"]
    with pytest.raises(RequestValidationError) as refused:
        new(kind=kind.name, payload={}).work()
    (error,) = refused.value.errors()
    assert error["loc"] == ("body", "payload")
    assert error["msg"] == "test.note: its key is not 1 to 200 printable characters"
