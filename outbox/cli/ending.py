"""How a process ends: on SIGTERM from its first moment on, and without waiting for its threads."""

import logging
import os
import signal
import sys
from typing import NoReturn


def die_of_sigterm() -> None:
    """Have SIGTERM end the process, until something else handles it.

    The kernel does so by itself, but not for the first process of a container: to that one a
    signal without a handler does nothing.
    """
    signal.signal(signal.SIGTERM, _die)


def leave(code: int) -> NoReturn:
    """End the process at once; what it has said is written.

    An interpreter that ends in the usual way waits for its threads, and one of them may be in a
    call that nothing interrupts, such as the question to a name server that does not answer.
    """
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _die(number: int, _: object) -> None:
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    os._exit(128 + number)  # the first process of a container is still there
