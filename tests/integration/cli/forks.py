"""Runs `duly` in forks of a process that has imported it: most commands take less time than that.

A fork is a process like any other: it has the arguments, environment and streams that it is given,
and exits by itself.
"""

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import cache
from importlib import import_module
from tempfile import TemporaryFile
from typing import Any

from outbox.cli import main as duly

IMPORTED = (
    "alembic.command",
    "outbox.migrations.grants",
    "service.jobs",
    "sqlalchemy.dialects.postgresql.psycopg",
)
"""What commands import when they run, besides their own modules."""
LARGEST_REQUEST = 200_000
SECONDS = 60


class Forks:
    """A process that forks, until it is closed."""

    def __init__(self) -> None:
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            number = theirs.fileno()
            command = [sys.executable, "-m", __name__, str(number)]
            self._process = subprocess.Popen(command, pass_fds=[number])

    def close(self) -> None:
        """End it."""
        self._channel.close()
        self._process.wait(SECONDS)

    def run(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        *,
        input: str = "",  # noqa: A002 - as subprocess.run has it
        **streams: int,
    ) -> subprocess.CompletedProcess[str]:
        """The ended process, with its exit code and what it printed, as `subprocess.run` has it.

        It is killed after a minute. `streams` are descriptors for it to use as `stdin`, `stdout` or
        `stderr`.
        """
        with ExitStack() as opened:
            files = {
                name: opened.enter_context(TemporaryFile("w+"))
                for name in ("stdin", "stdout", "stderr")
            }
            files["stdin"].write(input)
            files["stdin"].seek(0)
            used = [streams.get(name, file.fileno()) for name, file in files.items()]
            code = self._run({"arguments": arguments, "environment": dict(environment)}, used)
            files["stdout"].seek(0)
            files["stderr"].seek(0)
            printed = files["stdout"].read(), files["stderr"].read()
        return subprocess.CompletedProcess(arguments, code, *printed)

    def _run(self, request: dict[str, Any], streams: Sequence[int]) -> int:
        socket.send_fds(self._channel, [json.dumps(request).encode()], streams)
        pid = int(self._channel.recv(100))
        ended, _, _ = select.select([self._channel], [], [], SECONDS)
        if not ended:
            os.kill(pid, signal.SIGKILL)
        return int(self._channel.recv(100))


@cache
def forks() -> Forks:
    """The one for all tests of this process, started when it is first asked for."""
    started = Forks()
    atexit.register(started.close)
    return started


def serve(channel: socket.socket) -> None:
    """Fork for each request, one after the other, and say how it ended; in the fork, run `duly`."""
    import_module("outbox.cli.main").commands()
    for module in IMPORTED:
        import_module(module)
    while (request := socket.recv_fds(channel, LARGEST_REQUEST, 3))[0]:
        text, streams, *_ = request
        if not (pid := os.fork()):
            channel.close()
            _become(streams, **json.loads(text))
            duly()
            return
        for each in streams:
            os.close(each)
        channel.send(str(pid).encode())
        _, status = os.waitpid(pid, 0)
        channel.send(str(os.waitstatus_to_exitcode(status)).encode())


def _become(streams: Sequence[int], arguments: list[str], environment: dict[str, str]) -> None:
    for number, given in enumerate(streams):
        os.dup2(given, number)
        os.close(given)
    # As the interpreter makes them when it starts.
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
    sys.argv[1:] = arguments
    os.environ.clear()
    os.environ.update(environment)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
