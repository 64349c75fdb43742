"""What a private Postgres and a private RabbitMQ have in common."""

import shutil
import signal
import subprocess
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from dev.owner import as_owner, claim, open_log
from dev.ports import is_free
from dev.processes import kill_all, send
from dev.say import Failure, shown
from dev.wait import wait_until

# Of its log, in the error: all that is left where a build machine is gone with its files.
LINES_SHOWN = 20


class PrivateServer(ABC):
    """A server on 127.0.0.1:port with everything it keeps in the folder.

    When we are root it runs as a user with fewer rights, who must be able to enter the folder.
    Several may run side by side. It runs on after the program that started it.
    """

    kind: ClassVar[str]
    stop_signal: ClassVar[signal.Signals]

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder.resolve(), port
        self.data, self.log = self.folder / "data", self.folder / "log"

    def start(self) -> None:
        """Return when it serves clients, on the data of the last time if there is any.

        It is started twice if need be: RabbitMQ gives up if the port mapper that it has just
        started (epmd) is slow to answer.
        """
        claim(self.folder)
        for _ in range(2):
            if not self._lives():
                self._start_anew()
            # What lives may also be the end of one that was told to stop.
            wait_until(lambda: self.is_up() or self._has_ended(), seconds=120)
            if self.is_up():
                return
        raise self._failure("does not serve")

    def stop(self) -> None:
        """Shut down in order: everything is on disk, no process is left."""
        if pid := self.pid():
            send([pid], self.stop_signal)
        if not wait_until(lambda: not self.pid(), seconds=60):
            raise self._failure("does not stop")
        self.kill()

    def kill(self) -> None:
        """End all its processes at once with SIGKILL."""
        if not kill_all(self._owns):
            raise self._failure("survives SIGKILL")

    def wipe(self) -> None:
        """Kill it and forget its data; the password, and so the URL, stays."""
        self.kill()
        shutil.rmtree(self.data, ignore_errors=True)

    @abstractmethod
    def is_up(self) -> bool:
        """Whether it, and not another server on its port, serves clients."""

    @abstractmethod
    def pid(self) -> int | None:
        """The pid of its main process, if that lives."""

    @abstractmethod
    def url(self, name: str) -> str:
        """Where a client finds the database or virtual host. Known once the server was started."""

    @abstractmethod
    def ensure(self, name: str) -> None:
        """Make sure that the database or virtual host exists."""

    @abstractmethod
    def _launch(self) -> None:
        """Start it, without waiting for it to serve."""

    @abstractmethod
    def _lives(self) -> bool:
        """Whether it runs or is about to."""

    @abstractmethod
    def _owns(self, process: Path) -> bool:
        """Whether the process with this /proc folder is one of the server's."""

    @abstractmethod
    def _environment(self) -> dict[str, str]:
        """What the server's programs find in their environment, and nothing else."""

    def _start_anew(self) -> None:
        # What a crash left over would keep the new one from starting.
        self.kill()
        # A killed process gives its port back a little after it has ceased to be seen.
        if not wait_until(lambda: is_free(self.port), seconds=5):
            raise Failure(f"{self.kind}: port {self.port} is taken by another program")
        self._launch()

    def _has_ended(self) -> bool:
        """Whether no process of it is left, not even for the moment between two."""
        return not wait_until(self._lives, seconds=1)

    def _check(self, program: Path, *arguments: str) -> None:
        if not self._run(program, *arguments):
            raise self._failure(f"{program.name} failed")

    def _run(self, program: Path, *arguments: str) -> bool:
        """Run one of the server's programs as its owner, with what it says in the log."""
        with open_log(self.log) as log, suppress(subprocess.TimeoutExpired):
            done = subprocess.run(
                [program, *arguments],
                cwd=self.folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                timeout=120,
                **as_owner(self.folder),
            )
            return done.returncode == 0
        return False

    def _failure(self, what: str) -> Failure:
        said = self.log.read_text(errors="replace") if self.log.exists() else ""
        last = said.splitlines()[-LINES_SHOWN:]
        return Failure("\n".join([*last, f"{self.kind}: {what}, see {shown(self.log)}"]))
