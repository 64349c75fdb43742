"""Find and signal the processes of a server by what they are, not by a number once written down.

A pid in a file may be somebody else's by now; what the kernel says of a process is so now.
"""

import os
import signal
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from dev.wait import wait_until

PROC = Path("/proc")


def find(belongs: Callable[[Path], bool]) -> list[int]:
    """The pids of the processes whose /proc folder satisfies the test."""
    return [int(process.name) for process in PROC.glob("[0-9]*") if _holds(belongs, process)]


def program(process: Path) -> str:
    """The file name of the program that the process runs."""
    return (process / "exe").readlink().name


def has_variable(process: Path, variable: str) -> bool:
    """Whether the process was started with this NAME=value in its environment."""
    return variable.encode() in _environment(process).split(b"\0")


def send(pids: Iterable[int], signum: signal.Signals) -> None:
    """Send the signal to those of the processes that are still there."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signum)


def kill_all(belongs: Callable[[Path], bool]) -> bool:
    """End every process that satisfies the test, those it forks meanwhile too."""

    def gone() -> bool:
        left = find(belongs)
        send(left, signal.SIGKILL)
        return not left

    return wait_until(gone, seconds=10)


def _environment(process: Path) -> bytes:
    # The kernel shows an empty one for a moment while a process becomes another program (exec).
    # A kernel thread and a zombie have none, and no program either: that is an OSError.
    program(process)
    return wait_until((process / "environ").read_bytes, seconds=0.1)


def _holds(belongs: Callable[[Path], bool], process: Path) -> bool:
    # One that ends meanwhile, a zombie or another user's cannot be read, and is not ours.
    with suppress(OSError):
        return belongs(process)
    return False
