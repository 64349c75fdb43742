"""Three RabbitMQ nodes that are one cluster, any of which may be killed."""

import json
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Any

from dev.owner import as_owner, claim, write_for_owner
from dev.ports import free_port
from dev.rabbitmq import PrivateRabbitmq

SIZE = 3


class Member(PrivateRabbitmq):
    """A node that finds the others by their port mapper (epmd) and has the same secrets."""

    def __init__(self, folder: Path, mapper_port: int, secret: str) -> None:
        super().__init__(folder, free_port())
        self._mapper_port = mapper_port
        claim(self.folder)
        for file in ("password", ".erlang.cookie"):
            write_for_owner(self.folder / file, secret)

    def join(self, other: "Member") -> None:
        """Give up what it has, and become a member of the other's cluster."""
        for command in (("stop_app",), ("reset",), ("join_cluster", other.node), ("start_app",)):
            self._check(self._program("rabbitmqctl"), *command)

    def queues(self) -> list[dict[str, Any]]:
        """The leader of each queue, and the members that have it and live."""
        command = ("--quiet", "--formatter", "json", "list_queues", "name", "leader", "online")
        asked = subprocess.run(
            [self._program("rabbitmqctl"), *command],
            cwd=self.folder,
            env=self._environment(),
            stdout=subprocess.PIPE,
            check=True,
            **as_owner(self.folder),
        )
        queues: list[dict[str, Any]] = json.loads(asked.stdout)
        return queues

    def _environment(self) -> dict[str, str]:
        return super()._environment() | {"ERL_EPMD_PORT": str(self._mapper_port)}


class Cluster:
    """The nodes, in the order in which clients try them."""

    def __init__(self, members: list[Member]) -> None:
        self._members = members

    @property
    def amqp_url(self) -> str:
        """The URLs of all."""
        return ";".join(member.url("/") for member in self._members)

    def form(self) -> None:
        """Start all, and let them be one."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(Member.start, self._members))
        first, *others = self._members
        for other in others:
            other.join(first)

    def leader(self, queue: str) -> Member:
        """The node that leads the queue."""
        leaders = {each["name"]: each["leader"] for each in self._members[0].queues()}
        return next(each for each in self._members if each.node == leaders[queue])

    def is_whole(self) -> bool:
        """Whether each queue has a live replica on every node."""
        return all(len(each["online"]) == SIZE for each in self._members[0].queues())

    def kill(self) -> None:
        """Kill all."""
        for member in self._members:
            member.kill()


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """The cluster, in a folder of its own, and gone with it afterwards."""
    mapper_port, secret = free_port(), token_hex(16)
    with tempfile.TemporaryDirectory(prefix="duly-cluster-") as folder, _mapper(mapper_port):
        Path(folder).chmod(0o711)  # so that the user they run as can enter
        names = [f"node{number}" for number in range(SIZE)]
        cluster = Cluster([Member(Path(folder, name), mapper_port, secret) for name in names])
        try:
            cluster.form()
            yield cluster
        finally:
            cluster.kill()


@contextmanager
def _mapper(port: int) -> Iterator[None]:
    # A node without one starts one, which the others would lose with that node.
    mapper = subprocess.Popen(["epmd", "-port", str(port), "-address", "127.0.0.1"])
    try:
        yield
    finally:
        mapper.terminate()
        mapper.wait()
