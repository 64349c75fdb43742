"""One of Duly's processes, as an operator starts and ends it."""

import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

DULY = (sys.executable, "-m", "outbox.cli")
LAST_CHARACTERS = 6000
PATIENCE_SECONDS = 24
"""Less than a worker's grace, and than an api may take: who needs all of it waits in vain."""


class Process:
    """`duly <arguments>`, running from `start` on; `command` is what takes the place of `duly`."""

    def __init__(
        self,
        log: Path,
        environment: Mapping[str, str],
        arguments: tuple[str, ...],
        command: tuple[str, ...] = DULY,
    ) -> None:
        self._log = log
        self._environment = environment
        self._arguments = arguments
        self._command = command
        self._running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; its log goes on where it ended before."""
        with self._log.open("ab") as log:
            self._running = subprocess.Popen(
                [*self._command, *self._arguments],
                env={**self._environment, "PYTHONFAULTHANDLER": "1"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def terminate(self) -> None:
        """Ask it to end, with SIGTERM."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it with SIGKILL, and wait until it is gone."""
        self._signal(signal.SIGKILL)
        self.wait()

    def wait(self, seconds: float = PATIENCE_SECONDS) -> int:
        """Its exit code, once it has ended; one that does not says in its log where it stands."""
        assert self._running
        try:
            return self._running.wait(seconds)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGABRT)
            self._running.wait(PATIENCE_SECONDS)
            self.report()
            raise

    @property
    def pid(self) -> int:
        """Its number."""
        assert self._running
        return self._running.pid

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._running is not None and self._running.poll() is None

    @property
    def log(self) -> str:
        """What it has said so far."""
        return self._log.read_text()

    def report(self) -> None:
        """Print the end of its log, which pytest shows where the test failed."""
        print(  # noqa: T201 - pytest shows it
            f"---- duly {' '.join(self._arguments)}:\n{self.log[-LAST_CHARACTERS:]}"
        )

    def _signal(self, number: signal.Signals) -> None:
        assert self._running
        self._running.send_signal(number)
