"""When the relay polls, on a clock that the tests turn."""

from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from outbox.relay.capacity import Room
from outbox.relay.poll_policy import (
    IDLE_POLL_SECONDS,
    LARGE_BATCH,
    LINGER_PER_EVENT_SECONDS,
    LINGER_SECONDS,
    LONGEST_INTERVAL_SECONDS,
    MEASURE_SECONDS,
    PAUSE_PER_SWEEP,
    POSTPONED_SECONDS,
    SWEEP_SECONDS,
    WAKE_UP_LASTS_SECONDS,
    Poll,
    PollPolicy,
)
from outbox.submission.rate_limit import INTERVAL_SECONDS

SEARCH_SECONDS = 5.0
SMALL_BATCH = LARGE_BATCH - 1


@dataclass
class Clocked:
    """A policy, and a clock that stands still until a test turns it."""

    now: float = 1000.0
    policy: PollPolicy = field(default_factory=lambda: PollPolicy(SEARCH_SECONDS))

    def poll(
        self,
        taken: int = 0,
        *,
        room: Room = Room.ENOUGH,
        left: Room | None = None,
        measuring: float = 0,
        publishing: float = 0,
    ) -> Poll:
        """Poll now; `left` is the room afterwards, if it is another."""
        poll = self.policy.begin(self.now, room)
        if poll.measures:
            self.now += measuring
            self.policy.measured(poll, self.now)
        self.now += publishing
        self.policy.end(self.now, taken, left or room)
        return poll

    def wait(self) -> float:
        """Turn the clock to the next poll; returns by how much."""
        wait = max(self.policy.next_poll - self.now, 0)
        self.now += wait
        return wait

    def settle_down(self) -> None:
        """Poll until it is idle."""
        self.poll()
        while self.wait() < IDLE_POLL_SECONDS / 2:
            self.poll()
        self.poll()


@pytest.fixture
def relay() -> Clocked:
    """A relay that has just polled, found nothing, and been idle before."""
    clocked = Clocked()
    clocked.settle_down()
    return clocked


def test_the_first_poll_begins_at_once_and_does_all_there_is_to_do() -> None:
    relay = Clocked()
    assert relay.wait() == 0
    assert relay.poll() == Poll(sweeps=True, measures=True, searches=True, restarts=True)


def test_an_idle_relay_polls_at_its_interval(relay: Clocked) -> None:
    for _ in range(3):
        assert relay.wait() == pytest.approx(IDLE_POLL_SECONDS)
        assert relay.poll().restarts


def test_a_wake_up_of_an_idle_relay_begins_a_poll_at_once(relay: Clocked) -> None:
    relay.now += 0.1
    relay.policy.wake_up(relay.now)
    assert relay.wait() == 0


def test_a_wake_up_during_a_poll_begins_another_at_once(relay: Clocked) -> None:
    relay.wait()
    relay.policy.begin(relay.now, Room.ENOUGH)
    relay.policy.wake_up(relay.now + 0.001)
    relay.now += 0.1
    relay.policy.end(relay.now, 0, Room.ENOUGH)
    assert relay.wait() == pytest.approx(LINGER_PER_EVENT_SECONDS)


@pytest.mark.parametrize("taken", [0, 1])
@pytest.mark.parametrize("slow", [0, 0.1])
def test_what_commits_within_the_senders_interval_needs_no_wake_up(
    relay: Clocked, taken: int, slow: float
) -> None:
    """Another poll begins after the interval, and no sooner, however long the first one takes."""
    relay.now += 0.1
    woken_at = relay.now
    relay.policy.wake_up(woken_at)
    relay.poll(taken, publishing=slow)
    relay.wait()
    expected = max(woken_at + WAKE_UP_LASTS_SECONDS, woken_at + slow + LINGER_PER_EVENT_SECONDS)
    assert relay.now == pytest.approx(expected)
    assert relay.now > woken_at + INTERVAL_SECONDS
    relay.poll()
    assert relay.wait() == pytest.approx(IDLE_POLL_SECONDS)


def test_a_burst_of_wake_ups_without_work_begins_a_poll_each_half_millisecond(
    relay: Clocked,
) -> None:
    polls = 0
    end = relay.now + 1
    relay.policy.wake_up(relay.now)
    while relay.now < end:
        relay.wait()
        relay.poll()
        polls += 1
        relay.policy.wake_up(relay.now)
    assert polls == pytest.approx(1 / LINGER_PER_EVENT_SECONDS, rel=0.01)


@pytest.mark.parametrize(
    ("taken", "linger"),
    [(1, 0.0005), (4, 0.002), (20, 0.01), (SMALL_BATCH, 0.01), (LARGE_BATCH, 0)],
)
def test_the_next_batch_gathers_after_a_small_one(
    relay: Clocked, taken: int, linger: float
) -> None:
    relay.wait()
    relay.poll(taken)
    relay.policy.wake_up(relay.now)
    assert relay.wait() == pytest.approx(linger)


def test_after_a_batch_without_a_wake_up_the_relay_polls_soon_to_settle_it(relay: Clocked) -> None:
    relay.wait()
    relay.poll(1)
    assert relay.wait() == pytest.approx(LINGER_PER_EVENT_SECONDS)
    relay.poll()
    assert relay.wait() == pytest.approx(IDLE_POLL_SECONDS)


def test_a_backlog_is_taken_from_where_the_relay_was_and_then_once_from_the_start(
    relay: Clocked,
) -> None:
    """An event may have been committed late, behind what was taken."""
    relay.now += 0.1
    assert relay.poll(LARGE_BATCH).restarts
    for _ in range(2):
        assert relay.wait() == 0
        assert not relay.poll(LARGE_BATCH).restarts
    assert relay.wait() == 0
    assert not relay.poll(3).restarts
    assert relay.wait() == 0
    assert relay.poll().restarts
    assert relay.wait() == pytest.approx(IDLE_POLL_SECONDS)


def test_under_a_steady_load_it_goes_on_where_it_was_until_it_finds_nothing(
    relay: Clocked,
) -> None:
    relay.now += 0.1
    for _ in range(3):
        relay.policy.wake_up(relay.now)
        relay.poll(1)
        relay.wait()
    relay.policy.wake_up(relay.now)
    assert not relay.poll().restarts
    relay.wait()
    assert relay.poll().restarts


def test_once_a_wake_up_no_longer_counts_it_starts_at_the_oldest_event(relay: Clocked) -> None:
    relay.now += 0.1
    relay.policy.wake_up(relay.now)
    relay.poll(1)
    assert relay.wait() == pytest.approx(WAKE_UP_LASTS_SECONDS)
    assert relay.poll().restarts


def test_a_sweep_starts_at_the_oldest_event_also_in_a_backlog(relay: Clocked) -> None:
    relay.now += 0.1
    relay.poll(LARGE_BATCH)
    relay.now += 2 * SWEEP_SECONDS
    assert relay.poll(LARGE_BATCH) == Poll(
        sweeps=True, measures=True, searches=False, restarts=True
    )
    assert not relay.poll(LARGE_BATCH).restarts


@pytest.mark.parametrize(
    ("took", "interval"),
    [(0, SWEEP_SECONDS), (0.1, PAUSE_PER_SWEEP * 0.1), (15, LONGEST_INTERVAL_SECONDS)],
)
def test_sweeps_take_a_tenth_of_the_time_and_a_silent_broker_does_not_stretch_them(
    took: float, interval: float
) -> None:
    relay = Clocked()
    relay.poll(LARGE_BATCH, measuring=took)
    swept_at = relay.now
    relay.now = swept_at + interval - 0.001
    assert not relay.poll(LARGE_BATCH).sweeps
    relay.now = swept_at + interval + 0.001
    assert relay.poll(LARGE_BATCH).sweeps


@pytest.mark.parametrize("room", Room)
def test_once_a_queue_was_paused_or_resumed_it_sweeps_at_once(relay: Clocked, room: Room) -> None:
    relay.poll(left=room)
    relay.policy.sweep()
    assert relay.wait() == 0
    assert relay.poll(room=room).sweeps
    assert relay.wait() > 0


def test_a_queue_that_is_paused_during_a_sweep_begins_another(relay: Clocked) -> None:
    relay.now += SWEEP_SECONDS
    poll = relay.policy.begin(relay.now, Room.ENOUGH)
    relay.policy.sweep()
    relay.policy.measured(poll, relay.now)
    relay.policy.end(relay.now, 0, Room.ENOUGH)
    assert relay.wait() == 0
    assert relay.poll().sweeps


def test_a_job_that_was_just_committed_waits_for_no_sweep(relay: Clocked) -> None:
    relay.now += IDLE_POLL_SECONDS - 0.001
    relay.policy.wake_up(relay.now)
    assert not relay.poll(1).sweeps
    relay.wait()
    assert relay.poll().sweeps


def test_a_sweep_comes_although_wake_ups_do_not_end(relay: Clocked) -> None:
    swept_at, end = [], relay.now + 2
    while relay.now < end:
        relay.now += WAKE_UP_LASTS_SECONDS / 2
        relay.policy.wake_up(relay.now)
        if relay.poll(1).sweeps:
            swept_at.append(relay.now)
    pauses = [after - before for before, after in pairwise(swept_at)]
    assert max(pauses) < SWEEP_SECONDS + POSTPONED_SECONDS + 2 * WAKE_UP_LASTS_SECONDS


def test_lost_messages_are_searched_for_at_their_interval() -> None:
    relay = Clocked()
    searched = []
    end = relay.now + 4 * SEARCH_SECONDS
    while relay.now < end:
        if relay.poll().searches:
            searched.append(relay.now)
        relay.wait()
    pauses = [after - before for before, after in pairwise(searched)]
    assert len(pauses) == 3
    assert all(SEARCH_SECONDS <= pause <= SEARCH_SECONDS + IDLE_POLL_SECONDS for pause in pauses)


@pytest.mark.parametrize("taken", [0, 1, SMALL_BATCH, LARGE_BATCH])
def test_while_no_queue_takes_any_more_it_only_measures_whatever_wakes_it_up(
    relay: Clocked, taken: int
) -> None:
    relay.now += SWEEP_SECONDS / 2
    relay.poll(taken, room=Room.SHORT, left=Room.NONE)  # which measures
    for _ in range(3):
        relay.policy.wake_up(relay.now)
        assert relay.wait() == pytest.approx(MEASURE_SECONDS)
        assert relay.poll(room=Room.NONE).measures


def test_a_full_queue_is_gone_on_with_where_the_relay_was(relay: Clocked) -> None:
    relay.now += 0.01
    relay.poll(1, left=Room.NONE)
    relay.wait()
    relay.poll(room=Room.NONE)
    relay.wait()
    assert not relay.poll(1).restarts


def test_while_one_queue_is_full_it_is_measured_and_others_do_not_wait_for_that(
    relay: Clocked,
) -> None:
    relay.now += SWEEP_SECONDS / 2
    assert relay.poll(room=Room.SHORT).measures
    measured_at = relay.now
    relay.now += 0.005
    relay.policy.wake_up(relay.now)
    assert relay.wait() == 0
    assert not relay.poll(1, room=Room.SHORT).measures
    while relay.now < measured_at + MEASURE_SECONDS:
        assert relay.wait() > 0
        measures = relay.poll(room=Room.SHORT).measures
    assert measures
    assert relay.now == pytest.approx(measured_at + MEASURE_SECONDS)


def test_measuring_takes_at_most_half_of_the_time(relay: Clocked) -> None:
    relay.now += SWEEP_SECONDS / 2
    relay.poll(room=Room.NONE, measuring=0.1)
    assert relay.wait() == pytest.approx(0.1)


def test_while_the_broker_blocks_the_relay_polls_at_the_idle_interval(relay: Clocked) -> None:
    relay.policy.blocked(relay.now)
    relay.policy.wake_up(relay.now)
    relay.policy.sweep()
    relay.policy.blocked(relay.now)
    assert relay.wait() == pytest.approx(IDLE_POLL_SECONDS)
    assert relay.poll().sweeps


@pytest.mark.parametrize("room", Room)
def test_after_a_failure_the_next_run_begins_at_once_with_a_sweep(room: Room) -> None:
    relay = Clocked()
    relay.poll(LARGE_BATCH, left=room)
    relay.policy.begin(relay.now, room)  # and fails
    relay.policy.restart()
    assert relay.wait() == 0
    poll = relay.poll()
    assert (poll.sweeps, poll.restarts) == (True, True)


seconds = st.one_of(st.just(0.0), st.floats(0, 0.01), st.floats(0, 1), st.floats(0, 20))
batches = st.one_of(st.just(0), st.integers(0, LARGE_BATCH), st.just(1000))


class AnyRelay(RuleBasedStateMachine):
    """Polls, wake-ups, outages and blocks, in whatever order."""

    @initialize()
    def start(self) -> None:
        """A relay that has not polled."""
        self.now = self.began = self.ended = 1000.0
        self.policy = PollPolicy(SEARCH_SECONDS)
        self.room = Room.ENOUGH
        self.woken_at = 0.0
        self.taken = 0
        self.without_work: list[float] = []

    @rule(wait=seconds)
    def wake_up(self, wait: float) -> None:
        """While the relay waits for its next poll."""
        self.now = max(self.now, min(self.now + wait, self.policy.next_poll))
        self._wake_up()

    @rule()
    def pause_a_queue(self) -> None:
        """Or resume one."""
        self.policy.sweep()
        self.without_work = []
        assert self.policy.next_poll <= self.now

    @rule()
    def block(self) -> None:
        """The broker blocks; what was in flight is settled."""
        self._wait()
        self.policy.blocked(self.now)
        assert self.policy.next_poll == self.now + IDLE_POLL_SECONDS
        self.taken = 0
        self._wait()

    @rule()
    def fail(self) -> None:
        """A poll fails, and a new run begins."""
        self._wait()
        self.policy.begin(self.now, self.room)
        self.policy.restart()
        self.room = Room.ENOUGH
        assert self.policy.next_poll <= self.now
        self.poll(measuring=0, publishing=0, taken=0, measured=Room.ENOUGH, wakes_up=False)

    @rule(
        measuring=seconds,
        publishing=seconds,
        taken=batches,
        measured=st.sampled_from(Room),
        wakes_up=st.booleans(),
    )
    def poll(
        self, measuring: float, publishing: float, taken: int, measured: Room, *, wakes_up: bool
    ) -> None:
        """Wait, then poll; a wake-up may come meanwhile."""
        self._wait()
        poll = self.policy.begin(self.now, self.room)
        self.began = self.now
        assert poll.measures or not (poll.sweeps or poll.searches)
        assert poll.restarts or not poll.sweeps
        if poll.measures:
            self.now += measuring
            self.policy.measured(poll, self.now)
            self.room = measured
        if wakes_up:
            self._wake_up()
        self.now += publishing
        self.taken = 0 if self.room is Room.NONE else taken
        self.policy.end(self.now, self.taken, self.room)
        self.ended = self.now
        self._count()

    @rule(taken=batches.filter(bool), left=st.sampled_from(Room))
    def use_up(self, taken: int, left: Room) -> None:
        """Poll, and take what there was room for."""
        self._wait()
        self.policy.begin(self.now, self.room)
        self.room, self.taken = left, taken
        self.policy.end(self.now, taken, left)
        self.began = self.ended = self.now
        self._count()

    def _wake_up(self) -> None:
        self.policy.wake_up(self.now)
        self.woken_at = self.now

    def _wait(self) -> None:
        self.now = max(self.now, self.policy.next_poll)

    def _count(self) -> None:
        """Three polls in a row that found nothing are apart."""
        self.without_work = [] if self.taken else [*self.without_work, self.began][-3:]
        if len(self.without_work) == 3:
            first, _, last = self.without_work
            assert last - first >= LINGER_PER_EVENT_SECONDS * 0.99

    @invariant()
    def no_wait_is_longer_than_the_idle_interval(self) -> None:
        """Or than a broker that is as slow to answer."""
        longest = LONGEST_INTERVAL_SECONDS if self.room is Room.NONE else IDLE_POLL_SECONDS
        assert self.policy.next_poll <= self.now + longest

    @invariant()
    def no_wake_up_is_lost(self) -> None:
        """A poll begins after it, and one after all that may come without another."""
        if self.room is Room.NONE:
            return
        soon = max(self.now, self.ended + LINGER_SECONDS)
        if self.began < self.woken_at:
            assert self.policy.next_poll <= soon
        if self.began <= self.woken_at + INTERVAL_SECONDS:
            assert self.policy.next_poll <= max(soon, self.woken_at + WAKE_UP_LASTS_SECONDS)

    @invariant()
    def work_that_is_known_does_not_wait(self) -> None:
        """More than a large batch, and a smaller one that is to be settled."""
        if self.room is Room.NONE:
            return
        if self.taken >= LARGE_BATCH:
            assert self.policy.next_poll <= self.now
        elif self.taken:
            soon = max(self.ended + LINGER_SECONDS, self.woken_at + WAKE_UP_LASTS_SECONDS)
            assert self.policy.next_poll <= soon


AnyRelay.TestCase.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
TestAnyRelay = AnyRelay.TestCase
