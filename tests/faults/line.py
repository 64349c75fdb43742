"""The line of the acceptance tests, with processes that something ends at a moment."""

import signal
import sys

from tests.faults.moments import Moment
from tests.support.service import line
from tests.support.service.process import DULY, Process

LAUNCH = (sys.executable, "-m", "tests.faults.launch")


class Line(line.Line):
    """Duly's processes on nodes of the suite; the effects of its actors reach the `receiver`."""

    def start_doomed(self, moment: Moment, *arguments: str) -> Process:
        """Start a process that ends when the moment comes."""
        return self._start(*arguments, command=(*LAUNCH, moment.name))

    def start_impatient(self, *arguments: str) -> Process:
        """Start a process that does not wait long before it gives something up."""
        return self._start(*arguments, command=(*LAUNCH, "-"))

    def start_by_way_of(self, command: tuple[str, ...], *arguments: str) -> Process:
        """Start a process through a command that is replaced by it."""
        return self._start(*arguments, command=(*command, *DULY))


def has_crashed(process: Process) -> bool:
    """Wait until the process has ended; whether it was its moment that ended it."""
    return process.wait() == -signal.SIGKILL
