"""A folder in memory, for a server whose data nobody misses: a restart of the machine ends it."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

from dev.owner import reachable

MEMORY = Path("/dev/shm")  # noqa: S108 - the folder's owner is checked
LEAST_BYTES = 4 * 1024**3
"""Free there, and on the machine: else the disk is used."""


def folder(mark: str) -> Path | None:
    """The folder, made if it is missing; None where there is too little memory for one."""
    found = _path(mark)
    if not is_used(mark):
        if not _has_room():
            return None
        found.mkdir(mode=0o711)
    return found if reachable(found) else None


def is_used(mark: str) -> bool:
    """Whether there is such a folder of ours."""
    found = _path(mark)
    return found.is_dir() and found.stat().st_uid == os.geteuid()


def forget(mark: str) -> None:
    """Delete the folder, if there is one of ours."""
    if is_used(mark):
        shutil.rmtree(_path(mark))


def _path(mark: str) -> Path:
    return MEMORY / f"duly-{mark}"


def _has_room() -> bool:
    if not (MEMORY.is_dir() and os.access(MEMORY, os.W_OK)):
        return False
    return min(shutil.disk_usage(MEMORY).free, _available()) >= LEAST_BYTES


def _available() -> int:
    """Bytes that programs can have without swapping, caches included; 0 if nobody says so."""
    with suppress(OSError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        found = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
        return sum(map(int, found)) * 1024
    return 0
