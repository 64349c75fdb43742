"""How each system is run: its schema, its queue, its processes."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from bench.crew import Command
from migrations.run import upgrade

WORKERS = 2
"""Processes, one for each core of a small machine."""


def _nothing(_database_url: str) -> None:
    """It has no tables, or makes them itself."""


def _procrastinate_tables(database_url: str) -> None:
    from procrastinate import App, PsycopgConnector

    async def apply() -> None:
        async with App(connector=PsycopgConnector(conninfo=database_url)).open_async() as app:
            await app.schema_manager.apply_schema_async()

    asyncio.run(apply())


def _pgqueuer_tables(database_url: str) -> None:
    from bench.systems import pgqueuer

    asyncio.run(pgqueuer.install(database_url))


@dataclass(frozen=True)
class Contestant:
    """One system, as `bench.systems` has it."""

    module: str
    processes: Sequence[Command]
    create_tables: Callable[[str], None] = _nothing
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def queues(self) -> list[str]:
        """What it may have in RabbitMQ."""
        return [f"bench.{self.module}"]


DULY_WORKER = ("bench.systems.duly", "worker")
DULY_RELAY = ("bench.systems.duly", "relay")
CELERY_WORKER = (
    *("celery", "-A", "bench.systems.celery", "worker", "--loglevel", "warning"),
    *("--concurrency", str(WORKERS), "--without-gossip", "--without-mingle"),
)

DRAMATIQ_WORKER = ("dramatiq", "bench.systems.dramatiq", "-p", str(WORKERS), "-t", "8")
PROCRASTINATE_WORKER = (
    *("procrastinate", "--app", "bench.systems.procrastinate.app", "worker"),
    *("--concurrency", "8", "--queues", "bench.procrastinate"),
)
PGQUEUER_WORKER = ("bench.systems.pgqueuer",)
TUNED = {"BENCH_TUNED": "1"}
TUNING = "32 threads (16 by default), no logs below WARNING"

DULY = Contestant("duly", [DULY_RELAY, DULY_WORKER], upgrade)
"""One worker process: the more jobs share a commit the less each costs."""
DULY_TUNED = replace(DULY, environment=TUNED)
DRAMATIQ = Contestant("dramatiq", [DRAMATIQ_WORKER])
CELERY = Contestant("celery", [CELERY_WORKER])
CELERY_WITH_RESULTS = Contestant("celery", [CELERY_WORKER], environment={"BENCH_RESULTS": "1"})
PROCRASTINATE = Contestant("procrastinate", [PROCRASTINATE_WORKER] * WORKERS, _procrastinate_tables)
PGQUEUER = Contestant("pgqueuer", [PGQUEUER_WORKER] * WORKERS, _pgqueuer_tables)
