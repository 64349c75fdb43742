"""Private servers, started from installed binaries beside whatever else the machine runs."""

import hashlib
import os
from pathlib import Path

from dev import binaries, memory
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
TESTS = "duly_test"
"""What the names of their databases begin with: each process of a run has one."""
PACKAGES = {"postgres": "postgresql", "rabbitmq": "rabbitmq-server"}


def urls(kinds: list[str], name: str) -> dict[str, str]:
    """Start the servers of these kinds where they do not run, and say where each is found."""
    if not (PROC / "self").exists():
        raise Failure("private servers need Linux; start Docker, or set DATABASE_URL and AMQP_URL")
    if missing := [PACKAGES[kind] for kind in kinds if not INSTALLED[kind]()]:
        install(*missing)
    return {kind: _url(_of_tests(kind, name) or server(kind), name) for kind in kinds}


def down() -> None:
    """Stop them, if they run."""
    for one in _all():
        if one.pid():
            say(f"{one.kind}: stopping the private one ...")
        one.stop()
    memory.forget(_mark())


def status() -> list[str]:
    """A line for each server that runs."""
    return [
        f"{one.kind}: a private one runs on port {one.port} (pid {one.pid()})"
        for one in _all()
        if one.is_up()
    ]


def server(kind: str) -> PrivateServer:
    """The private server of this checkout, whether it runs or not."""
    folder = home()
    return CLASSES[kind](folder / kind, remembered_port(folder / f"{kind}.port"))


def _all() -> list[PrivateServer]:
    of_tests = _of_tests("postgres", TESTS) if memory.is_used(_mark()) else None
    return [*map(server, CLASSES), *([of_tests] if of_tests else [])]


def _of_tests(kind: str, name: str) -> PrivateServer | None:
    """The Postgres of the tests: it keeps all in memory, where there is enough.

    The tests make a database each, and drop it. That takes a tenth of the time there.
    """
    is_of_tests = kind == "postgres" and name.startswith(TESTS)
    if not is_of_tests or not (folder := memory.folder(_mark())):
        return None
    return CLASSES[kind](folder / kind, remembered_port(home() / f"{kind}.tests.port"))


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
    mark = _mark()
    below = CHECKOUT / ".servers"
    below.mkdir(exist_ok=True)
    if not reachable(below):
        return _home_elsewhere(f"duly-{mark}", below / "elsewhere")
    folder = below / mark
    folder.mkdir(exist_ok=True)
    return folder


def _mark() -> str:
    """Named for the checkout's path: a copy must not take the servers of the original."""
    return hashlib.sha256(bytes(CHECKOUT)).hexdigest()[:8]


def _home_elsewhere(folder: str, note: Path) -> Path:
    home = Path("/var/tmp", folder)  # noqa: S108 - its owner is checked
    home.mkdir(mode=0o711, exist_ok=True)
    if home.stat().st_uid != os.geteuid():
        raise Failure(f"{home} belongs to another user")
    note.write_text(f"{home}\n")
    return home
