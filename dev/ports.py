"""Choose ports that nobody uses, once, and remember them."""

import random
import socket
from pathlib import Path

# Below those that the kernel gives to outgoing connections.
RANGE = range(20000, 32000)


def remembered_port(note: Path) -> int:
    """The port written in the note, chosen when first asked for."""
    if not note.exists():
        note.write_text(f"{free_port()}\n")
    return int(note.read_text())


def free_port() -> int:
    """A port that is free on 127.0.0.1, as are the two after it."""
    while True:
        port = random.choice(RANGE)  # noqa: S311 - to be spread, not to be secret
        if all(is_free(port + offset) for offset in range(3)):
            return port


def is_free(port: int) -> bool:
    """Whether a server could listen there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
