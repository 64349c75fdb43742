"""A cancel interrupts once, and where nothing holds it back."""

import asyncio
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from functools import partial

import pytest

from outbox.errors import JobCancelled, TimeLimitExceeded
from outbox.job.cancellation import Cancellation, Shield
from outbox.worker.runners import time_limit
from outbox.worker.runners.time_limit import TimeLimits

LATER = timedelta(seconds=60)


@pytest.fixture
def interrupts() -> list[str]:
    """One for each interruption."""
    return []


@pytest.fixture
def cancellation(interrupts: list[str]) -> Cancellation:
    """Of an actor that runs."""
    cancellation = Cancellation()
    cancellation.run_by(partial(interrupts.append, "now"))
    return cancellation


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> Iterator[TimeLimits]:
    monkeypatch.setattr(time_limit, "POLL_SECONDS", 0.001)
    limits = TimeLimits()
    limits.start()
    yield limits
    limits.close()


def test_it_interrupts_once(cancellation: Cancellation, interrupts: list[str]) -> None:
    assert not cancellation.is_asked
    cancellation.ask()
    cancellation.ask()
    assert (cancellation.is_asked, interrupts) == (True, ["now"])


def test_an_actor_that_starts_later_is_interrupted_then(interrupts: list[str]) -> None:
    cancellation = Cancellation()
    cancellation.ask()
    with Shield(cancellation):
        """Nothing runs yet."""
    cancellation.run_by(partial(interrupts.append, "at the start"))
    assert interrupts == ["at the start"]


def test_it_waits_for_the_outermost_shield(
    cancellation: Cancellation, interrupts: list[str]
) -> None:
    with Shield(cancellation):
        with Shield(cancellation):
            cancellation.ask()
        assert (cancellation.is_asked, interrupts) == (True, [])
    assert interrupts == ["now"]


def test_it_interrupts_nothing_whose_work_is_done(
    cancellation: Cancellation, interrupts: list[str]
) -> None:
    with Shield(cancellation):
        cancellation.ask()
        cancellation.end()
    assert interrupts == []


def test_a_thread_is_interrupted_at_the_end_of_its_shield(limits: TimeLimits) -> None:
    said: list[str] = []

    def run() -> None:
        cancellation = Cancellation()
        with limits.limit(LATER) as watch:
            cancellation.run_by(partial(limits.cancel, watch))
            with Shield(cancellation):
                asking = threading.Thread(target=cancellation.ask)
                asking.start()
                asking.join()
                said.append("shielded")
            said.append("not reached")

    with ThreadPoolExecutor(1) as threads, pytest.raises(JobCancelled):
        threads.submit(run).result(20)
    assert said == ["shielded"]


def test_its_time_limit_holds_after_a_cancel(limits: TimeLimits) -> None:
    def run() -> str:
        cancellation = Cancellation()
        try:
            with limits.limit(timedelta(milliseconds=200)) as watch:
                cancellation.run_by(partial(limits.cancel, watch))
                with suppress(JobCancelled):
                    cancellation.ask()
                while True:
                    time.sleep(0.001)
        except TimeLimitExceeded:
            return "its time is over"

    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(run).result(20) == "its time is over"


@pytest.fixture
def eager_threads() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("eager_threads")
def test_a_shield_that_begins_just_then_is_never_broken(limits: TimeLimits) -> None:
    """Threads are cancelled at about the moment at which they enter their shield."""
    broken: list[int] = []

    def run(number: int) -> None:
        cancellation = Cancellation()
        begins = threading.Event()

        def ask() -> None:
            begins.wait()
            for _ in range(number):
                """It asks a little later each time."""
            cancellation.ask()

        asking = threading.Thread(target=ask)
        asking.start()
        steps = -1
        try:
            with suppress(JobCancelled), limits.limit(LATER) as watch:
                cancellation.run_by(partial(limits.cancel, watch))
                begins.set()
                with Shield(cancellation):
                    for steps in range(20_000):  # noqa: B007 - how far it came
                        """Nothing may arrive here."""
                while True:
                    time.sleep(0.001)
        finally:
            asking.join()
        if steps not in (-1, 19_999):
            broken.append(number)

    with ThreadPoolExecutor(1) as thread:
        assert len([*thread.map(run, range(300))]) == 300
    assert broken == []


def test_a_task_is_interrupted_at_the_end_of_its_shield() -> None:
    said: list[str] = []

    async def actor(cancellation: Cancellation) -> None:
        async with Shield(cancellation):
            cancellation.ask()
            await asyncio.sleep(0)
            said.append("shielded")
        said.append("not reached")

    async def run() -> None:
        cancellation = Cancellation()
        task = asyncio.ensure_future(actor(cancellation))
        cancellation.run_by(partial(_cancel, task), asyncio.get_running_loop().call_soon_threadsafe)
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert said == ["shielded"]


def _cancel(task: asyncio.Future[None]) -> None:
    task.cancel()
