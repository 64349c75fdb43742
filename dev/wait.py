"""Wait for a condition, never longer than a deadline."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(condition: Callable[[], T], seconds: float) -> T:
    """Poll until the condition holds; its value, which is false if the time ran out first."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    return value
