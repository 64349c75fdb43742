"""A process of the crew comes back whenever it ends, until it has left."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.crew import Member
from tests.support.wait import wait_for

HELLO = "import time; print('hello', flush=True); time.sleep(600)"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """What the process has said: a line for each start."""
    return tmp_path / "log"


@pytest.fixture
def member(log: Path) -> Iterator[Member]:
    """A process that says hello."""
    member = Member([sys.executable, "-c", HELLO], {}, log)
    wait_for("it runs", lambda: starts(log) == 1)
    yield member
    member.leave()
    member.see_off()


def starts(log: Path) -> int:
    return len(log.read_text().splitlines())


def test_killed_or_ended_it_is_started_again(member: Member, log: Path) -> None:
    member.kill()
    wait_for("the second start", lambda: starts(log) == 2)
    member.terminate()
    wait_for("the third start", lambda: starts(log) == 3)


def test_only_an_end_that_nobody_asked_for_is_a_fall(member: Member, log: Path) -> None:
    member.kill()
    wait_for("the second start", lambda: starts(log) == 2)
    assert member.fallen == []
    wait_for("the crew knows the new process", lambda: member._process.poll() is None)
    os.kill(member._process.pid, signal.SIGKILL)
    wait_for("the third start", lambda: starts(log) == 3)
    assert member.fallen == [-signal.SIGKILL]


def test_once_it_has_left_it_does_not_come_back(member: Member, log: Path) -> None:
    member.leave()
    member.see_off()
    assert starts(log) == 1
