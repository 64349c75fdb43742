"""One worker process whose jobs each wait 100 ms for an HTTP server: tasks beside threads."""

import re
from functools import partial
from pathlib import Path

from bench.backlogs import batches, fill
from bench.comparison import Comparison, in_turns
from bench.contestants import DULY, DULY_RELAY
from bench.crew import crew
from bench.setting import Bench
from bench.worker import rate

SERVER = ("bench.systems.slow_server",)
WORKERS = {"tasks": ("await", "200"), "threads": ("wait", "8")}
"""Which actor each runs, and how many of it at once."""
MOST_MEGABYTES = 200.0


def run(bench: Bench) -> list[Comparison]:
    """200 tasks beside 8 threads; the memory is the process's largest so far."""
    count = bench.size(5000)
    found = in_turns(
        {name: partial(_measured, bench, name, count) for name in WORKERS},
        *(bench.rounds, bench.say, lambda each: f"{each[0]:,.0f} jobs/s, {each[1]:.0f} MB"),
    )
    tasks, threads = found["tasks"], found["threads"]
    memory = [megabytes for _, megabytes in tasks]
    return [
        Comparison(
            "200 tasks ÷ 8 threads", [r for r, _ in tasks], [r for r, _ in threads], "jobs/s", 10
        ),
        Comparison(
            f"memory of tasks ÷ {MOST_MEGABYTES:.0f} MB",
            memory,
            [MOST_MEGABYTES] * len(memory),
            "MB",
            reach=1,
            less_is_better=True,
        ),
    ]


def _measured(bench: Bench, name: str, count: int) -> tuple[float, float]:
    """Jobs per second, and megabytes."""
    actor, most = WORKERS[name]
    environment = {"BENCH_WINDOW": str(2**30), "BENCH_ACTOR": actor, "BENCH_AT_ONCE": most}
    with crew(bench.database_url, bench.amqp_url, "waiting", DULY.queues, **environment) as own:
        DULY.create_tables(own.database_url)
        # Threads take long, and their rate does not change.
        count = count if name == "tasks" else count // 5
        fill(own.database_url, count)
        own.start(*SERVER)
        relay = own.start(*DULY_RELAY)
        batches(own.database_url, count)
        relay.terminate()
        relay.wait()
        worker = own.start("bench.systems.duly", "worker")
        return rate(own, count), _peak_megabytes(worker.pid)


def _peak_megabytes(process: int) -> float:
    status = Path(f"/proc/{process}/status").read_text()
    (kilobytes,) = re.findall(r"VmHWM:\s+(\d+) kB", status)
    return int(kilobytes) / 1024
