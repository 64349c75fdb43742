"""Duly's own processes for the demo, each kept running by a supervisor."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from dev.ports import remembered_port
from dev.processes import find, has_variable, kill_all, send
from dev.say import CHECKOUT, Failure, say, shown
from dev.servers import Servers
from dev.stripe.provider import KEY
from dev.wait import wait_until

HOME = Path(os.environ.get("DULY_DEMO", CHECKOUT / ".demo"))
"""Where the demo keeps what it makes. A test names another folder, and has processes of its own."""
MARK = f"DULY_DEMO={HOME}"
DULY = [sys.executable, "-m", "outbox.cli"]


def port(name: str) -> int:
    """The port of what has that name, such as `api`; chosen once for this checkout."""
    HOME.mkdir(exist_ok=True)
    return remembered_port(HOME / f"{name}.port")


def environment(servers: Servers) -> dict[str, str]:
    """What the processes are told."""
    return os.environ | {
        "DATABASE_URL": servers.database_url,
        "AMQP_URL": servers.amqp_url,
        "DULY_DOCUMENTS_URL": (HOME / "documents").as_uri(),
        "DULY_SMTP_URL": f"smtp://127.0.0.1:{port('mail')}?starttls=never",
        "DULY_STRIPE_URL": f"http://127.0.0.1:{port('stripe')}",
        "DULY_STRIPE_KEY": KEY,
        "DULY_WEBHOOKS_MAY_REACH_PRIVATE": "true",
        "DULY_LINKS_SECRET": "for the demo, where everybody may know it",
    }


def start(variables: Mapping[str, str]) -> None:
    """Start api, relay, worker and the demo's outside world, each in its own session."""
    commands = {
        "api": [*DULY, "api", "--port", str(port("api"))],
        "relay": [*DULY, "relay", "--metrics-port", str(port("relay-metrics"))],
        "worker": [*DULY, "worker", "--metrics-port", str(port("worker-metrics"))],
        "stripe": [sys.executable, "-m", "dev.stripe", str(port("stripe"))],
        "sink": [sys.executable, "-m", "dev.demo.sink", str(port("mail")), str(port("hooks"))],
    }
    for name, command in commands.items():
        supervise(name, command, variables)


def stop() -> None:
    """End them: first asked, and killed if they do not go."""
    supervisors = find(lambda process: _is_supervisor(process) and _is_ours(process))
    send(supervisors, signal.SIGTERM)
    if not wait_until(lambda: not find(_is_ours), seconds=30):
        say("demo: some processes did not stop in 30 s; killing them")
        kill_all(_is_ours)


def log(name: str) -> Path:
    """Where a process writes."""
    return HOME / f"{name}.log"


def wait_for(name: str, ready: Callable[[], bool], seconds: float = 30) -> None:
    """Wait until `ready`. Raises Failure with the log's name."""
    if not wait_until(ready, seconds):
        raise Failure(f"{name} did not start; see {shown(log(name))}")


def supervise(name: str, command: list[str], variables: Mapping[str, str] = os.environ) -> None:
    """Keep the command running until stop(), even when this process has ended."""
    mark, _, home = MARK.partition("=")
    with log(name).open("ab") as output:
        subprocess.Popen(
            [sys.executable, "-m", "dev.demo.supervise", *command],
            cwd=CHECKOUT,
            env={**variables, mark: home},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def _is_ours(process: Path) -> bool:
    return has_variable(process, MARK) and int(process.name) != os.getpid()


def _is_supervisor(process: Path) -> bool:
    return b"dev.demo.supervise" in (process / "cmdline").read_bytes().split(b"\0")
