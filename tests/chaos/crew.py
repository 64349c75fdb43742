"""The processes of a system, each started again when it ends, as a container engine does."""

import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

PAUSE_SECONDS = 0.5
GRACE_SECONDS = 20


class Member:
    """One process, and what it forks; faults hit all of it at once."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self._command = command
        self._environment = environment
        self._log = log
        self._leaving = threading.Event()
        self._is_ended = False
        self.fallen: list[int] = []
        """With which code it ended, each time that nobody had ended it."""
        self._lock = threading.Lock()
        self._process = self._launch()
        self._keeper = threading.Thread(target=self._keep)
        self._keeper.start()

    @property
    def pid(self) -> int:
        """The number of the process that runs, or has just ended."""
        return self._process.pid

    def kill(self) -> None:
        """End it at once."""
        self._is_ended = True
        self._signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end."""
        self._is_ended = True
        self._process.terminate()

    def freeze(self, seconds: float) -> None:
        """Let it stand still, as a paused machine does, and go on afterwards."""
        self._signal(signal.SIGSTOP)
        self._leaving.wait(seconds)
        self._signal(signal.SIGCONT)

    def leave(self) -> None:
        """Ask it to end and start it no more."""
        with self._lock:
            self._leaving.set()
            self._signal(signal.SIGCONT)
            self.terminate()

    def see_off(self) -> None:
        """Wait until it has left, and kill what has not."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(GRACE_SECONDS)
        self._signal(signal.SIGKILL)
        self._keeper.join()

    def _keep(self) -> None:
        while True:
            code = self._process.wait()
            if not self._is_ended:
                self.fallen.append(code)
            self._leaving.wait(PAUSE_SECONDS)
            with self._lock:
                if self._leaving.is_set():
                    return
                self._is_ended = False
                self._process = self._launch()

    def _launch(self) -> "subprocess.Popen[bytes]":
        with self._log.open("ab") as log:
            return subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)
