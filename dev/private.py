"""Private servers, started from installed binaries beside whatever else the machine runs."""

import hashlib
import os
from pathlib import Path

from dev import binaries
from dev.install import install
from dev.owner import reachable
from dev.ports import remembered_port
from dev.postgres import PrivatePostgres
from dev.processes import PROC
from dev.rabbitmq import PrivateRabbitmq
from dev.say import CHECKOUT, Failure, say
from dev.server import PrivateServer

CLASSES: dict[str, type[PrivateServer]] = {"postgres": PrivatePostgres, "rabbitmq": PrivateRabbitmq}
INSTALLED = {"postgres": binaries.postgres, "rabbitmq": binaries.rabbitmq}
PACKAGES = {"postgres": "postgresql", "rabbitmq": "rabbitmq-server"}


def urls(kinds: list[str], name: str) -> dict[str, str]:
    """Start the servers of these kinds where they do not run, and say where each is found."""
    if not (PROC / "self").exists():
        raise Failure("private servers need Linux; start Docker, or set DATABASE_URL and AMQP_URL")
    if missing := [PACKAGES[kind] for kind in kinds if not INSTALLED[kind]()]:
        install(*missing)
    return {kind: _url(server(kind), name) for kind in kinds}


def down() -> None:
    """Stop both, if they run."""
    for kind in CLASSES:
        if server(kind).pid():
            say(f"{kind}: stopping the private one ...")
        server(kind).stop()


def status() -> list[str]:
    """A line for each server that runs."""
    servers = [server(kind) for kind in CLASSES]
    return [
        f"{one.kind}: a private one runs on port {one.port} (pid {one.pid()})"
        for one in servers
        if one.is_up()
    ]


def server(kind: str) -> PrivateServer:
    """The private server of this checkout, whether it runs or not."""
    folder = home()
    return CLASSES[kind](folder / kind, remembered_port(folder / f"{kind}.port"))


def _url(server: PrivateServer, name: str) -> str:
    if server.is_up():
        say(f"{server.kind}: a private one runs on port {server.port}")
    else:
        say(f"{server.kind}: starting a private one on port {server.port} ...")
        server.start()
    server.ensure(name)
    return server.url(name)


def home() -> Path:
    """The folder for all that private servers need, which the user they run as can enter."""
    # Named for the checkout's path: a copy of a checkout must not take the servers of the
    # original for its own.
    mark = hashlib.sha256(bytes(CHECKOUT)).hexdigest()[:8]
    below = CHECKOUT / ".servers"
    below.mkdir(exist_ok=True)
    if not reachable(below):
        return _home_elsewhere(f"duly-{mark}", below / "elsewhere")
    folder = below / mark
    folder.mkdir(exist_ok=True)
    return folder


def _home_elsewhere(folder: str, note: Path) -> Path:
    home = Path("/var/tmp", folder)  # noqa: S108 - its owner is checked
    home.mkdir(mode=0o711, exist_ok=True)
    if home.stat().st_uid != os.geteuid():
        raise Failure(f"{home} belongs to another user")
    note.write_text(f"{home}\n")
    return home
