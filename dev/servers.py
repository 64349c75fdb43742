"""Find or start the Postgres and the RabbitMQ that Duly works against."""

import argparse
import fcntl
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from dev import docker, private
from dev.say import CHECKOUT, Failure, say

VARIABLES = {"postgres": "DATABASE_URL", "rabbitmq": "AMQP_URL"}
SOURCES = {"docker": docker.urls, "private": private.urls}


@dataclass(frozen=True)
class Servers:
    """Where the servers are."""

    database_url: str
    amqp_url: str
    source: str
    """`environment` where it names both, else where the rest came from: `docker` or `private`."""


def up(name: str = "demo") -> Servers:
    """Find or start both servers, each with a database or virtual host called duly_NAME.

    A server that the environment names is used as it is; the others run with Docker where an
    engine runs, else as private instances. Raises Failure, which says what to do about it.
    """
    if not re.fullmatch(r"[a-z0-9_]+", name):
        raise Failure(f"the name {name} is not made of small letters, digits and _")
    found, source = from_environment(), "environment"
    if missing := [kind for kind in VARIABLES if kind not in found]:
        with _alone():
            source = "docker" if docker.engine_runs() else "private"
            found |= SOURCES[source](missing, f"duly_{name}")
    return Servers(found["postgres"], found["rabbitmq"], source)


def down() -> None:
    """Stop what up() started; the data stays."""
    with _alone():
        docker.down()
        private.down()


def status() -> list[str]:
    """A line for each server that runs."""
    return [*docker.status(), *private.status()] or ["no server runs"]


def from_environment() -> dict[str, str]:
    """The URLs that the environment names, by kind of server."""
    found = {kind: os.environ[key] for kind, key in VARIABLES.items() if os.environ.get(key)}
    for kind in found:
        say(f"{kind}: the one in {VARIABLES[kind]}")
    return found


@contextmanager
def _alone() -> Iterator[None]:
    """Keep a second command on this checkout waiting."""
    folder = CHECKOUT / ".servers"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("servers: waiting for another command to finish ...")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m dev.servers", description=__doc__)
    parser.add_argument("action", choices=["up", "down", "status"])
    parser.add_argument("--name", default="demo", help="up: the database and virtual host")
    arguments = parser.parse_args()
    if arguments.action == "up":
        servers = up(arguments.name)
        print(f"DATABASE_URL={servers.database_url}\nAMQP_URL={servers.amqp_url}")
    elif arguments.action == "down":
        down()
    else:
        print("\n".join(status()))


if __name__ == "__main__":
    try:
        _main()
    except (Failure, OSError) as problem:
        say(str(problem))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
