"""One process at a time, for what several want to make in the same folder."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dev.say import say


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep all others that ask for this folder waiting; made if there is none.

    The operating system lets the next one in if this process dies.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"{folder.name.strip('.')}: waiting for another command to finish ...")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
