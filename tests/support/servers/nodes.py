"""A Postgres and a RabbitMQ that nobody else uses: to be killed, stopped and wiped."""

import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dev.ports import free_port
from dev.postgres import PrivatePostgres
from dev.processes import find, send
from dev.rabbitmq import PrivateRabbitmq


@dataclass(frozen=True, slots=True)
class Nodes:
    """Both servers; a test that stops one starts it again."""

    postgres: PrivatePostgres
    rabbitmq: PrivateRabbitmq

    @property
    def amqp_url(self) -> str:
        """The virtual host that a new node has, and a wiped one has again."""
        return self.rabbitmq.url("/")


@contextmanager
def running_nodes(
    postgres: type[PrivatePostgres] = PrivatePostgres,
    rabbitmq: type[PrivateRabbitmq] = PrivateRabbitmq,
) -> Iterator[Nodes]:
    """Both servers, started in a folder of their own, and gone with it afterwards."""
    with tempfile.TemporaryDirectory(prefix="duly-faults-") as folder:
        Path(folder).chmod(0o711)  # so that the user they run as can enter
        nodes = Nodes(
            postgres(Path(folder, "postgres"), free_port()),
            rabbitmq(Path(folder, "rabbitmq"), free_port()),
        )
        try:
            nodes.postgres.start()
            nodes.rabbitmq.start()
            yield nodes
        finally:
            nodes.rabbitmq.kill()
            nodes.postgres.kill()


@contextmanager
def frozen(postgres: PrivatePostgres) -> Iterator[None]:
    """All its processes stand still meanwhile; its kernel goes on to take what is sent."""
    processes = find(lambda process: (process / "cwd").samefile(postgres.data))
    send(processes, signal.SIGSTOP)
    try:
        yield
    finally:
        send(processes, signal.SIGCONT)
