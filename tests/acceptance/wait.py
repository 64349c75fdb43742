"""Waiting for what must come to be."""

from collections.abc import Callable

from dev.wait import wait_until

PATIENCE_SECONDS = 60


def wait_for(what: str, condition: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until the condition holds. Fails the test, naming `what`, where it takes too long."""
    assert wait_until(condition, seconds), f"not within {seconds} s: {what}"
