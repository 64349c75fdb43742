"""`python -m tests.faults.launch MOMENT <arguments>`: duly, ended as by `kill -9` at the moment.

It ends with the signal's code when the moment comes, and with another where the moment's function
does not exist any more. No one else kills it, so that code is the proof that the moment came.
`-` is no moment. Whatever the moment, a worker waits for nothing as long as it usually does.
"""

import inspect
import os
import signal
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from importlib import import_module
from typing import Any, NoReturn

from outbox.cli import main
from outbox.maintenance.sampling import sampler
from outbox.worker import process as worker_process
from tests.faults.moments import Moment, named

Function = Callable[..., Any]


def hurry() -> None:
    """Give up soon what a test would have to wait for."""
    defaults = worker_process.run.__kwdefaults__
    assert defaults
    defaults |= {"margin": timedelta(seconds=1)}
    worker_process.FROZEN_SECONDS = 4
    sampler.INTERVAL_SECONDS, sampler.PAUSE_FACTOR = 0.5, 1
    if "worker" in sys.argv:
        sys.argv += ["--grace", "1"]


def arm(moment: Moment) -> None:
    """Put the moment's end in the place of its function."""
    module, _, path = moment.function.partition(":")
    *classes, name = path.split(".")
    owner: Any = import_module(module)
    for each in classes:
        owner = getattr(owner, each)
    function = getattr(owner, name)
    setattr(owner, name, ENDS[moment.when](function))


def crash_after(function: Function) -> Function:
    """The function, and then the end."""

    def run(*args: Any, **kwargs: Any) -> NoReturn:
        function(*args, **kwargs)
        crash()

    def run_steps(*args: Any, **kwargs: Any) -> Iterator[Any]:
        yield from function(*args, **kwargs)
        crash()

    async def run_async(*args: Any, **kwargs: Any) -> NoReturn:
        await function(*args, **kwargs)
        crash()

    if inspect.isgeneratorfunction(function):
        return run_steps
    return run_async if inspect.iscoroutinefunction(function) else run


def crash(*_: object, **__: object) -> NoReturn:
    """End the process at once, whatever its other threads do."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("survived SIGKILL")


class Fatal(BaseException):
    """What no `except Exception` catches."""


def end_thread(*_: object, **__: object) -> NoReturn:
    """End the thread, or an asyncio program, by an error that is a bug."""
    raise Fatal


ENDS: dict[str, Callable[[Function], Function]] = {
    "before": lambda _: crash,
    "after": crash_after,
    "instead": lambda _: end_thread,
}

if __name__ == "__main__":
    hurry()
    if sys.argv[1] != "-":
        arm(named(sys.argv[1]))
    sys.argv[:2] = ["duly"]
    main()
