"""One system on servers of its own: everything that faults can hit."""

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random

from dev.ports import free_port
from dev.server import PrivateServer
from tests.chaos.clock import SteppedPostgres
from tests.chaos.contenders import Contender
from tests.chaos.crew import Member
from tests.chaos.tables import create_tables
from tests.faults.nodes import running_nodes
from tests.proxy import Proxy


class Server:
    """A server, and the network before it. Faults that stop it take turns."""

    def __init__(self, node: PrivateServer, url: str) -> None:
        self.node = node
        self.url = url
        self.proxy = Proxy(node.port)
        self.turn = threading.Lock()

    @property
    def proxied_url(self) -> str:
        """Its address by way of that network."""
        return self.proxy.url(self.url)


class Stage:
    """The servers and processes of a contender."""

    def __init__(self, contender: Contender, postgres: Server, broker: Server) -> None:
        self.contender = contender
        self.postgres = postgres
        self.broker = broker
        self.ports = [free_port(), free_port()]
        self._members: dict[str, list[Member]] = {}

    def start(self, receiver_url: str, logs: Path) -> None:
        """Start all processes; they need not be ready yet."""
        environment = os.environ | {
            "DATABASE_URL": self.postgres.proxied_url,
            "AMQP_URL": self.broker.proxied_url,
            "RECEIVER_URL": receiver_url,
        }
        apis = [self.contender.api(port) for port in self.ports]
        for role, commands in {"api": apis, **self.contender.crew}.items():
            crew = self._members[role] = []  # so that `stop` finds each that was started
            for number, command in enumerate(commands):
                crew.append(Member(command, environment, logs / f"{role}-{number}.log"))

    def server(self, part: str) -> Server:
        """The server that a fault names."""
        return {"postgres": self.postgres, "broker": self.broker}[part]

    def one(self, role: str, random: Random) -> Member:
        """Any process of the role."""
        return random.choice(self._members[role])

    @property
    def fallen(self) -> list[str]:
        """The processes that ended though nobody had ended them, with their exit codes."""
        crews = self._members.items()
        return [f"{role}: {code}" for role, crew in crews for each in crew for code in each.fallen]

    def stop(self) -> None:
        """Stop all processes."""
        members = [member for crew in self._members.values() for member in crew]
        for member in members:
            member.leave()
        for member in members:
            member.see_off()


@contextmanager
def stage(contender: Contender, receiver_url: str, logs: Path) -> Iterator[Stage]:
    """The contender, running; its servers are gone afterwards."""
    with running_nodes(SteppedPostgres) as nodes, ExitStack() as exits:
        postgres = Server(nodes.postgres, nodes.postgres.url("postgres"))
        broker = Server(nodes.rabbitmq, nodes.amqp_url)
        for server in (postgres, broker):
            server.proxy.start()
            exits.callback(server.proxy.stop)
        create_tables(postgres.url)
        running = Stage(contender, postgres, broker)
        exits.callback(running.stop)
        running.start(receiver_url, logs)
        yield running
