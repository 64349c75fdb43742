"""Runs a function on a thread of its own, and waits for it only so long."""

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


def start(call: Callable[[], T]) -> "Future[T]":
    """Its result, or what it raises. The thread does not keep the process from ending."""
    answer: Future[T] = Future()

    def run() -> None:
        try:
            answer.set_result(call())
        except BaseException as error:  # noqa: BLE001 - raised where the result is wanted
            answer.set_exception(error)

    Thread(target=run, daemon=True).start()
    return answer
