"""What can go wrong with each part of a system, and how it is done.

A strike that lasts returns when it is over. Those that stop a server take turns on it.
"""

import signal
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from random import Random

import psycopg

from dev.processes import find, send
from tests.chaos.echo import echo
from tests.chaos.stage import Stage
from tests.support.servers.stepped_clock import SteppedPostgres

FROZEN_WORKER_SECONDS = 15
"""Longer than the silence after which a worker counts as dead."""
FROZEN_SERVER_SECONDS = 8
HALF_OPEN_SECONDS = 40
"""Then the connections are reset, as firewalls and kernels do in the end."""
SLOW_SECONDS = 10
DELAY_SECONDS = 0.2
ALARM_SECONDS = 12
STEP_SECONDS = 60
STEPPED_SECONDS = 10
SLOW_COMMITS = ("ALTER SYSTEM SET commit_delay = 100000", "ALTER SYSTEM SET commit_siblings = 0")
"""Each flush of the log takes a tenth of a second, as on a disk that is overloaded."""
QUICK_COMMITS = ("ALTER SYSTEM RESET commit_delay", "ALTER SYSTEM RESET commit_siblings")
LONE_SECONDS = 6
"""How long a node is without the other. Clients repeat what is not answered in ten seconds."""

Strike = Callable[[Stage, str, Random], None]


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong with a part: a role's process, or a server."""

    part: str
    name: str
    strike: Strike

    def __str__(self) -> str:
        return f"{self.part}: {self.name}"

    def is_called(self, name: str) -> bool:
        """Whether the name is its own, its part's, or `all`."""
        return name in (str(self), self.part, "all")

    @property
    def is_kill(self) -> bool:
        """Whether it kills a process."""
        return self.strike is _kill


def _kill(stage: Stage, role: str, random: Random) -> None:
    stage.one(role, random).kill()


def _terminate(stage: Stage, role: str, random: Random) -> None:
    stage.one(role, random).terminate()


def _freeze_process(stage: Stage, role: str, random: Random) -> None:
    stage.one(role, random).freeze(FROZEN_WORKER_SECONDS)


def _echo(stage: Stage, _role: str, random: Random) -> None:
    with stage.broker.turn, stage.postgres.turn:
        echo(stage.postgres.url, stage.broker.url, random)


def _crash(stage: Stage, part: str, _random: Random) -> None:
    server = stage.server(part)
    with server.turn:
        server.node.kill()
        server.node.start()


def _restart(stage: Stage, part: str, _random: Random) -> None:
    server = stage.server(part)
    with server.turn:
        server.node.stop()
        server.node.start()


def _wipe(stage: Stage, part: str, _random: Random) -> None:
    server = stage.server(part)
    with server.turn:
        server.node.wipe()
        server.node.start()


def _freeze_server(stage: Stage, part: str, _random: Random) -> None:
    server = stage.server(part)
    with server.turn:
        frozen = find(server.node._owns)
        send(frozen, signal.SIGSTOP)
        time.sleep(FROZEN_SERVER_SECONDS)
        send(frozen, signal.SIGCONT)


def _cut(stage: Stage, part: str, _random: Random) -> None:
    stage.server(part).proxy.cut()


def _half_open(stage: Stage, part: str, _random: Random) -> None:
    proxy = stage.server(part).proxy
    proxy.swallow()
    time.sleep(HALF_OPEN_SECONDS)
    proxy.cut_swallowed()


def _slow_network(stage: Stage, part: str, _random: Random) -> None:
    proxy = stage.server(part).proxy
    proxy.delay = DELAY_SECONDS
    time.sleep(SLOW_SECONDS)
    proxy.delay = 0


def _fail_over(stage: Stage, _part: str, _random: Random) -> None:
    """The primary is lost, and the standby promoted."""
    with stage.postgres.turn:
        stage.postgres.pair.fail_over()
        time.sleep(LONE_SECONDS)
        stage.postgres.pair.restore()


def _fail_over_behind(stage: Stage, _part: str, _random: Random) -> None:
    """The same after the standby was away: a crash has made visible what was not answered.

    So clients ask again for what is there already, and is gone after the failover.
    """
    pair = stage.postgres.pair
    with stage.postgres.turn:
        pair.standby.stop()
        time.sleep(LONE_SECONDS)
        pair.primary.kill()
        pair.primary.start()
        time.sleep(LONE_SECONDS)
        pair.primary.kill()
        pair.standby.start()
        pair.fail_over()
        pair.restore()


def _memory_alarm(stage: Stage, _part: str, _random: Random) -> None:
    node = stage.broker.node
    with stage.broker.turn:
        for watermark, seconds in (("0", ALARM_SECONDS), ("0.4", 0)):
            node._check(node._program("rabbitmqctl"), "set_vm_memory_high_watermark", watermark)
            time.sleep(seconds)


def _slow_disk(stage: Stage, _part: str, _random: Random) -> None:
    with stage.postgres.turn:
        _configure(stage.postgres.url, *SLOW_COMMITS)
        time.sleep(SLOW_SECONDS)
        _configure(stage.postgres.url, *QUICK_COMMITS)


def _step_clock(stage: Stage, _part: str, random: Random) -> None:
    with stage.postgres.turn:
        node = stage.postgres.node
        assert isinstance(node, SteppedPostgres)
        node.step(random.choice([-STEP_SECONDS, STEP_SECONDS]))
        time.sleep(STEPPED_SECONDS)
        node.step(0)


def _configure(database_url: str, *commands: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as database:
        for command in (*commands, "SELECT pg_reload_conf()"):
            database.execute(command)


STRIKES: dict[str, dict[str, Strike]] = {
    "api": {"kill -9": _kill, "SIGTERM": _terminate},
    "relay": {"kill -9": _kill, "SIGTERM": _terminate, "doubled messages": _echo},
    "worker": {"kill -9": _kill, "SIGTERM": _terminate, "frozen": _freeze_process},
    "broker": {
        "kill -9": _crash,
        "restart": _restart,
        "wiped": _wipe,
        "frozen": _freeze_server,
        "cut": _cut,
        "half open": _half_open,
        "slow network": _slow_network,
        "memory alarm": _memory_alarm,
    },
    "postgres": {
        "kill -9": _crash,
        "frozen": _freeze_server,
        "cut": _cut,
        "half open": _half_open,
        "slow network": _slow_network,
        "slow disk": _slow_disk,
        "clock step": _step_clock,
        "failover": _fail_over,
        "failover to a standby that was away": _fail_over_behind,
    },
}
FAULTS = [Fault(part, *named) for part, strikes in STRIKES.items() for named in strikes.items()]


def choose(only: Collection[str], without: Collection[str]) -> list[Fault]:
    """The faults that `only` calls by a name and `without` does not."""
    return [
        fault
        for fault in FAULTS
        if any(map(fault.is_called, only)) and not any(map(fault.is_called, without))
    ]
