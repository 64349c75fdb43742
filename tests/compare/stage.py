"""A system on its feet: its processes, the network before RabbitMQ, and the outside world."""

import json
import os
import subprocess
from collections.abc import Callable, Collection, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import httpx2
import pika
import psycopg
from pika.exceptions import AMQPError

from dev.ports import free_port
from dev.say import Failure
from dev.servers import Servers
from dev.wait import wait_until
from outbox.postgres.address import conninfo
from tests.chaos.crew import Member
from tests.compare.contenders import Contender
from tests.compare.outside import Manners, Outside
from tests.support.network.proxy import Proxy
from tests.support.service.process import DULY

READY_SECONDS = 120
TRIES = 4
PATIENCE_SECONDS = 6
"""How long the next question waits for the receipt of the last one."""
LAST_SECONDS = 40
"""How long receipts may take after the last question, before they are called lost."""


class Stage:
    """One contender. Its orders have numbers of their own."""

    def __init__(
        self,
        contender: Contender,
        servers: Servers,
        outside: Outside,
        broker: Proxy,
        folder: Path,
        first_order: int,
    ) -> None:
        self.contender, self.outside, self.broker = contender, outside, broker
        self._servers, self._folder = servers, folder
        self._orders = count(first_order)
        self._placed: list[int] = []
        self._port = free_port()
        self._members: dict[str, Member] = {}
        self._dies = folder / "die-after-commit"
        self._environment = os.environ | {
            "DATABASE_URL": servers.database_url,
            "AMQP_URL": broker.url(servers.amqp_url),
            "RECEIPTS_URL": outside.url,
            "DIE_AFTER_COMMIT": str(self._dies),
            "DULY_APP": "tests.compare.systems.duly_jobs:duly",
            "DULY_WORKER_SILENCE": "3",
        }

        self.is_over = False

    def wait(self, condition: Callable[[], object], seconds: float) -> bool:
        """Whether the condition came true in time. Raises Failure where the run is given up."""

        def holds() -> object:
            if self.is_over:
                raise Failure(f"{self.contender.name}: the run was ended")
            return condition()

        return bool(wait_until(holds, seconds))

    # What runs

    def start(self) -> None:
        """Start all processes and wait until a receipt is given."""
        commands = {"api": self.contender.api(self._port), **self.contender.crew}
        for role, command in commands.items():
            log = self._folder / f"{role}.log"
            self._members[role] = Member(command, self._environment, log)
        self.settle()

    def stop(self) -> None:
        """End all processes."""
        for member in self._members.values():
            member.leave()
        for member in self._members.values():
            member.see_off()

    def kill(self, role: str) -> None:
        """End it by `kill -9`, with all that it has forked. It is started again."""
        self._members[role].kill()

    def deploy(self, role: str, grace: float) -> None:
        """SIGTERM, and after the grace SIGKILL, as a container engine does. It is started again."""
        member = self._members[role]
        old = member.pid
        member.terminate()
        self.wait(lambda: member.pid != old, grace)
        if member.pid == old:
            member.kill()

    def settle(self) -> None:
        """Wait until an order gets its receipt: all processes are there and work."""
        if not self.wait(self._is_up, READY_SECONDS):
            raise Failure(f"{self.contender.name}: the API does not start; see {self._folder}")
        for _ in range(TRIES):  # what comes just after a fault may be lost, too
            order = self.new_order()
            self.place(order)
            if self.wait(lambda: self.outside.given[order], READY_SECONDS / TRIES):  # noqa: B023
                return
        raise Failure(f"{self.contender.name}: no task is done; see {self._folder}")

    def _is_up(self) -> bool:
        try:
            return httpx2.get(f"http://127.0.0.1:{self._port}/openapi.json").status_code == 200
        except httpx2.TransportError:
            return False

    # What is done

    def new_order(self, **manners: Any) -> int:
        """The number of an order, and how the outside world treats it."""
        order = next(self._orders)
        self.outside.manners[order] = Manners(**manners)
        return order

    def place(self, order: int, path: str = "/orders", *, is_fraud: bool = False) -> str:
        """Post the order; what the client sees."""
        self._placed.append(order)
        body = {"id": order, "is_fraud": is_fraud}
        try:
            url = f"http://127.0.0.1:{self._port}{path}"
            return str(httpx2.post(url, json=body, timeout=60).status_code)
        except httpx2.TransportError:
            return "no answer"

    def place_and_die(self, order: int) -> str:
        """Post the order to an API process that dies right after the commit."""
        self._dies.touch()
        try:
            return self.place(order)
        finally:
            self._dies.unlink()

    # What is seen

    def begins(self, order: int) -> None:
        """Wait until the receipt was asked for."""
        if not self.wait(lambda: self.outside.asked[order], READY_SECONDS):
            raise Failure(f"{self.contender.name}: order {order} is not worked on")

    def ends(self, order: int) -> None:
        """Wait for the order's receipt, but not for long: it may still come."""
        self.wait(lambda: self.outside.given[order], PATIENCE_SECONDS)

    def all_end(self, orders: Collection[int]) -> None:
        """Wait for the last receipts; then what has none is lost. A later order has its own."""
        if not self.wait(lambda: all(self.outside.given[each] for each in orders), LAST_SECONDS):
            self.settle()

    def done_twice(self) -> list[int]:
        """The orders that have several receipts."""
        return [order for order in self._placed if len(self.outside.given[order]) > 1]

    def is_kept(self, order: int) -> bool:
        """Whether the order's row is there."""
        with psycopg.connect(conninfo(self._servers.database_url)) as connection:
            return bool(
                connection.execute("SELECT 1 FROM orders WHERE id = %s", [order]).fetchone()
            )

    def log(self, role: str) -> str:
        """What a process has said so far."""
        return (self._folder / f"{role}.log").read_text(errors="replace")

    def messages(self, order: int) -> list[tuple[str, str]]:
        """The queues that hold a message about the order, with its text."""
        with pika.BlockingConnection(pika.URLParameters(self._servers.amqp_url)) as connection:
            return [*self._look(connection, order)]

    def _look(self, connection: pika.BlockingConnection, order: int) -> Iterator[tuple[str, str]]:
        for queue in self.contender.queues:
            channel = connection.channel()
            try:
                while (got := channel.basic_get(queue))[0]:  # given back when the channel closes
                    text = (got[2] or b"").decode(errors="replace")
                    if str(order) in text:
                        yield queue, text
            except AMQPError:  # there is no such queue
                continue
            channel.close()

    def duly(self, *arguments: str) -> Any:
        """What `duly` prints as JSON."""
        command = [*DULY, *arguments, "--output", "json"]
        done = subprocess.run(
            command, env=self._environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise Failure(f"duly {' '.join(arguments)}: {done.stderr.strip()}")
        return json.loads(done.stdout)
