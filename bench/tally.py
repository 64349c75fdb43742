"""What the actors of every system leave behind: which job started, and when.

One file for all processes, appended to by writes too small to mix. The clock is the machine's
monotonic one, the same in each process.
"""

import os
import struct
import time
from functools import cache
from pathlib import Path

RECORD = struct.Struct("<qq")


def mark(number: int) -> None:
    """Note that the job with this number starts now. Called by actors, in any process."""
    os.write(_file(), RECORD.pack(number, time.monotonic_ns()))


@cache
def _file() -> int:
    return os.open(os.environ["BENCH_TALLY"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)


class Tally:
    """Reads what was marked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_bytes(b"")

    @property
    def count(self) -> int:
        """How many jobs have started."""
        return self.path.stat().st_size // RECORD.size

    def starts(self) -> dict[int, int]:
        """When each started, in nanoseconds, by its number; the first time counts."""
        started: dict[int, int] = {}
        for number, moment in RECORD.iter_unpack(self.path.read_bytes()):
            started.setdefault(number, moment)
        return started
