"""The servers of docker-compose.yml, where a Docker engine runs."""

import json
import subprocess
from functools import partial
from typing import Any
from urllib.parse import quote

from dev.say import CHECKOUT, Failure, say, shown
from dev.vhost import ensure_vhost

USER = "duly"
LOG = CHECKOUT / ".servers" / "docker.log"
STARTED = CHECKOUT / ".servers" / "docker.started"


def engine_runs() -> bool:
    """Whether there is an engine to talk to, and the compose plugin to do it with."""
    return all(_answers("docker", *words) for words in (("info",), ("compose", "version")))


def urls(kinds: list[str], name: str) -> dict[str, str]:
    """Start the servers of these kinds where they do not run, and say where each is found."""
    say(f"{', '.join(kinds)}: with Docker (log: {shown(LOG)}) ...")
    _remember({*kinds} - {*_running()})
    _compose("up", "--wait", *kinds)
    services = json.loads(_compose("config", "--format", "json"))["services"]
    return {kind: URLS[kind](services[kind], name) for kind in kinds}


def down() -> None:
    """Stop those servers that were started here."""
    if kinds := _started():
        say(f"{', '.join(kinds)}: stopping with Docker ...")
        _compose("stop", *kinds)
        STARTED.unlink()


def status() -> list[str]:
    """A line for each server that was started here and runs."""
    return [f"{kind}: runs with Docker" for kind in _started() if kind in _running()]


def _postgres(service: dict[str, Any], name: str) -> str:
    inside = ("exec", "-T", "postgres")
    known = _compose(*inside, "psql", "-AtXU", USER, "-c", "SELECT datname FROM pg_database")
    if name not in known.split():
        _compose(*inside, "createdb", "-U", USER, name)
    password = quote(service["environment"]["POSTGRES_PASSWORD"], safe="")
    return f"postgresql://{USER}:{password}@{_address(service, 5432)}/{name}"


def _rabbitmq(service: dict[str, Any], name: str) -> str:
    password = quote(service["environment"]["RABBITMQ_DEFAULT_PASS"], safe="")
    url = f"amqp://{USER}:{password}@{_address(service, 5672)}/{name}"
    ensure_vhost(url, USER, partial(_compose, "exec", "-T", "rabbitmq", "rabbitmqctl"))
    return url


URLS = {"postgres": _postgres, "rabbitmq": _rabbitmq}


def _address(service: dict[str, Any], inside: int) -> str:
    outside = next(port["published"] for port in service["ports"] if port["target"] == inside)
    return f"127.0.0.1:{outside}"


def _running() -> list[str]:
    return _compose("ps", "--services", "--status", "running").split()


def _started() -> list[str]:
    return STARTED.read_text().split() if STARTED.exists() else []


def _remember(kinds: set[str]) -> None:
    STARTED.write_text(" ".join(sorted(kinds | {*_started()})))


def _answers(*command: str) -> bool:
    try:
        return not subprocess.run(command, capture_output=True, timeout=5).returncode
    except (OSError, subprocess.TimeoutExpired):
        return False


def _compose(*arguments: str) -> str:
    with LOG.open("a") as log:
        done = subprocess.run(
            ["docker", "compose", *arguments],
            cwd=CHECKOUT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    if done.returncode:
        raise Failure(f"docker compose {arguments[0]} failed, see {shown(LOG)}")
    return done.stdout
