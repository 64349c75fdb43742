"""A name server that hears and never answers, for single processes."""

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

MOUNT = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'


class NameServer:
    """Silent. A process that is started by way of `command` knows no other."""

    def __init__(self, heard: socket.socket, configuration: Path) -> None:
        self._socket = heard
        self.command = ("unshare", "--mount", "sh", "-c", MOUNT, str(configuration))

    def hears(self) -> bool:
        """Whether it has been asked since the last time."""
        heard = False
        try:
            while True:
                self._socket.recv(512)
                heard = True
        except BlockingIOError:
            return heard


@contextmanager
def silent_name_server(folder: Path) -> Iterator[NameServer]:
    """Listens on an address of this machine that nothing else uses.

    Skips the test where no process may have a resolv.conf of its own: without root, and in many
    containers.
    """
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
        pytest.skip("no process may have a resolv.conf of its own here")
    address = f"127.53.{os.getpid() >> 8 & 255}.{os.getpid() & 255 or 1}"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind((address, 53))
        listening.setblocking(False)
        configuration = folder / "resolv.conf"
        configuration.write_text(f"nameserver {address}\noptions timeout:15 attempts:3\n")
        yield NameServer(listening, configuration)
