"""Ends a process: on SIGTERM from its first moment, and without waiting for its threads."""

import logging
import os
import signal
import sys
from typing import NoReturn


def exit_on_sigterm() -> None:
    """Make SIGTERM end the process until another handler replaces this one.

    By default the kernel ends it, but not if it is PID 1 of a container: PID 1 ignores signals
    without a handler.
    """
    signal.signal(signal.SIGTERM, _exit_of_sigterm)


def exit_now(code: int) -> NoReturn:
    """Flush logs and output, then end the process at once.

    A normal exit waits for threads. One may be in a call that nothing can interrupt, such as a
    lookup at a name server that does not answer.
    """
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _exit_of_sigterm(number: int, _: object) -> None:
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    os._exit(128 + number)  # PID 1 of a container survives the signal
