import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta

import pytest

from outbox.errors import Interrupted, TimeLimitExceeded
from outbox.worker.runners import time_limit
from outbox.worker.runners.time_limit import TimeLimits, Watch
from tests.support.wait import wait_for

SOON = timedelta(milliseconds=20)
LATER = timedelta(seconds=60)


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> Iterator[TimeLimits]:
    monkeypatch.setattr(time_limit, "POLL_SECONDS", 0.001)
    limits = TimeLimits()
    limits.start()
    yield limits
    limits.close()


def work_for(seconds: float) -> None:
    """Run bytecode, between which the exception can arrive."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def test_work_that_takes_too_long_is_ended(limits: TimeLimits) -> None:
    begun = time.monotonic()
    with pytest.raises(TimeLimitExceeded), limits.limit(SOON):
        work_for(30)
    assert time.monotonic() - begun < 10


def test_an_except_exception_does_not_swallow_it(limits: TimeLimits) -> None:
    with pytest.raises(TimeLimitExceeded), limits.limit(SOON), suppress(Exception):
        work_for(30)


def test_work_in_time_goes_on(limits: TimeLimits) -> None:
    with limits.limit(LATER):
        work_for(0.05)


def test_nothing_is_raised_after_the_block(limits: TimeLimits) -> None:
    with limits.limit(SOON):
        pass
    work_for(0.1)


def test_other_threads_are_left_alone(limits: TimeLimits) -> None:
    with ThreadPoolExecutor(1) as other:
        bystander = other.submit(work_for, 0.2)
        with pytest.raises(TimeLimitExceeded), limits.limit(SOON):
            work_for(30)
        bystander.result()


def test_blocks_that_end_just_then_leave_no_stray_exception(limits: TimeLimits) -> None:
    """Each block lasts about as long as its limit, so that many exceptions are sent too late."""

    def race(stop: float) -> int:
        ended = 0
        while time.monotonic() < stop:
            try:
                with limits.limit(timedelta(milliseconds=1)):
                    work_for(0.001)
            except TimeLimitExceeded:
                ended += 1
            work_for(0.0005)
        return ended

    with ThreadPoolExecutor(4) as threads:
        races = [threads.submit(race, time.monotonic() + 1.5) for _ in range(4)]
        assert sum(each.result() for each in races) > 0


def test_the_inner_of_two_limits_ends_only_the_inner_block(limits: TimeLimits) -> None:
    went_on = threading.Event()
    with limits.limit(LATER):
        with pytest.raises(TimeLimitExceeded), limits.limit(SOON):
            work_for(30)
        work_for(0.05)
        went_on.set()
    assert went_on.is_set()


def test_the_outer_of_two_limits_ends_both_blocks(limits: TimeLimits) -> None:
    with pytest.raises(TimeLimitExceeded), limits.limit(SOON), limits.limit(LATER):
        work_for(30)
    work_for(0.05)


def test_a_block_is_interrupted_from_outside(limits: TimeLimits) -> None:
    watches: list[Watch] = []

    def run() -> str:
        try:
            with limits.limit(LATER) as watch:
                watches.append(watch)
                while True:
                    time.sleep(0.001)
        except Interrupted:
            return "interrupted"

    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(run)
        wait_for("the block", lambda: watches)
        limits.interrupt(watches[0])
        assert running.result(10) == "interrupted"


def test_an_event_loop_with_nothing_to_do_is_woken_up(limits: TimeLimits) -> None:
    ended: list[str] = []

    async def wait() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("cleaned up")

    began = time.monotonic()
    with pytest.raises(TimeLimitExceeded), limits.limit(SOON):
        asyncio.run(wait())
    assert time.monotonic() - began < 10
    assert ended == ["cleaned up"]


def test_a_block_that_has_ended_is_not_interrupted(limits: TimeLimits) -> None:
    with limits.limit(LATER) as watch:
        pass
    limits.interrupt(watch)
    with limits.limit(LATER):
        assert not watch.fired
