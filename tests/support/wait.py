"""Waiting for what must come to be."""

from collections.abc import Callable
from typing import TypeVar

from dev.wait import wait_until

PATIENCE_SECONDS = 60

T = TypeVar("T")


def wait_for(what: str, condition: Callable[[], T | None], seconds: float = PATIENCE_SECONDS) -> T:
    """The condition's first true value. Fails the test, naming `what`, where it takes too long."""
    value = wait_until(condition, seconds)
    assert value, f"not within {seconds} s: {what}"
    return value
