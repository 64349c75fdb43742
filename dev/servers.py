"""Find or start the Postgres and the RabbitMQ that Duly works against."""

import argparse
import os
import re
import sys
from dataclasses import dataclass

from dev import docker, private
from dev.alone import alone
from dev.say import CHECKOUT, Failure, say

FOLDER = CHECKOUT / ".servers"
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
        with alone(FOLDER):
            source = "docker" if docker.engine_runs() else "private"
            found |= SOURCES[source](missing, f"duly_{name}")
    return Servers(found["postgres"], found["rabbitmq"], source)


def down() -> None:
    """Stop what up() started; the data stays."""
    with alone(FOLDER):
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
