"""One system on servers of its own: everything that faults can hit."""

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random

from dev.ports import free_port
from dev.rabbitmq import PrivateRabbitmq
from dev.server import PrivateServer
from tests.chaos.contenders import Contender
from tests.chaos.crew import Member
from tests.chaos.tables import create_tables
from tests.support.network.proxy import Proxy
from tests.support.servers.nodes import running_nodes
from tests.support.servers.standby import Follower, Pair
from tests.support.servers.stepped_clock import SteppedPostgres


class Server(ABC):
    """A server, and the network before each of its nodes. Faults that stop it take turns."""

    def __init__(self, *nodes: PrivateServer) -> None:
        self.proxies = {node.port: Proxy(node.port) for node in nodes}
        self.turn = threading.Lock()

    @property
    def proxy(self) -> Proxy:
        """The network before the node that works."""
        return self.proxies[self.node.port]

    @property
    @abstractmethod
    def node(self) -> PrivateServer:
        """The node that works."""

    @property
    @abstractmethod
    def url(self) -> str:
        """Its address."""

    @property
    @abstractmethod
    def proxied_url(self) -> str:
        """Its address by way of the network."""


class Broker(Server):
    """RabbitMQ."""

    def __init__(self, node: PrivateRabbitmq, url: str) -> None:
        super().__init__(node)
        self._node, self._url = node, url

    @property
    def node(self) -> PrivateRabbitmq:
        """The one there is."""
        return self._node

    @property
    def url(self) -> str:
        """Its address."""
        return self._url

    @property
    def proxied_url(self) -> str:
        """Its address by way of the network."""
        return self.proxy.url(self.url)


class Postgres(Server):
    """A primary and its synchronous standby; addresses lead to whichever is the primary."""

    def __init__(self, pair: Pair) -> None:
        super().__init__(pair.primary, pair.standby)
        self.pair = pair

    @property
    def node(self) -> Follower:
        """The primary."""
        return self.pair.primary

    @property
    def url(self) -> str:
        """Its address."""
        return self.pair.url("postgres")

    @property
    def proxied_url(self) -> str:
        """Its address by way of the network."""
        return self.pair.url("postgres", *(proxy.port for proxy in self.proxies.values()))


class SteppedFollower(Follower, SteppedPostgres):
    """A node of the pair, with a clock of its own."""


class Stage:
    """The servers and processes of a contender."""

    def __init__(self, contender: Contender, postgres: Postgres, broker: Broker) -> None:
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
        return self.postgres if part == "postgres" else self.broker

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
    with running_nodes(SteppedFollower) as nodes, ExitStack() as exits:
        assert isinstance(nodes.postgres, SteppedFollower)
        standby = SteppedFollower(nodes.postgres.folder.with_name("standby"), free_port())
        exits.callback(standby.kill)
        pair = Pair(nodes.postgres, standby)
        pair.start()
        postgres, broker = Postgres(pair), Broker(nodes.rabbitmq, nodes.amqp_url)
        for proxy in (*postgres.proxies.values(), *broker.proxies.values()):
            proxy.start()
            exits.callback(proxy.stop)
        create_tables(postgres.url)
        running = Stage(contender, postgres, broker)
        exits.callback(running.stop)
        running.start(receiver_url, logs)
        yield running
