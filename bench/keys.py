"""Keys: what limits cost, what one tenant's backlog does to another, and what a full key does.

Backlogs are written straight into the tables. Limits are one job of a key at a time. Of the peers
Procrastinate has that, as locks; PgQueuer limits the jobs of an entrypoint, not those of a key.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import quantiles

import psycopg

from bench.backlogs import UUID7
from bench.comparison import Comparison, in_turns
from bench.contestants import PROCRASTINATE, WORKERS, Contestant
from bench.crew import Crew, crew, wait_for
from bench.produce import WARM_UP
from bench.runs import NANOSECOND, go, warm
from bench.setting import Bench
from bench.worker import rate
from dev.wait import wait_until
from migrations.run import upgrade

RELAY, WORKER = ("bench.systems.keyed", "relay"), ("bench.systems.keyed", "worker")
NONE, SHARES, LIMITS = (
    Contestant("keyed", [RELAY, WORKER], upgrade, {"BENCH_KEYS": keys})
    for keys in ("none", "shares", "limits")
)
FILL = f"""
WITH job AS (
    INSERT INTO duly.jobs (id, kind, queue, priority, payload, run_at, attempt_limit,
                           attempt_budget, keys)
    SELECT {UUID7}, 'bench.keyed', 'bench.keyed', 1,
           jsonb_build_object('number', number, 'key', key, 'seconds', %(seconds)s::float8), made,
           8, 8, CASE WHEN %(has_keys)s THEN ARRAY[key] END
    FROM generate_series(%(first)s::int, %(first)s::int + %(count)s - 1) AS number
    CROSS JOIN LATERAL (
        SELECT now() + (number - %(first)s - %(count)s) * interval '1 millisecond' AS made,
               %(prefix)s || mod(number, %(keys)s) AS key
    ) AS row
    RETURNING id, kind, queue, priority, run_at, keys
)
INSERT INTO duly.outbox_events (job_id, dispatch, kind, queue, priority, available_at, keys)
SELECT id, 1, kind, queue, priority, run_at, keys FROM job
"""
LONGEST = """
SELECT max(extract(epoch FROM finished_at - started_at))::float8 FROM duly.jobs
WHERE keys[1] LIKE 'noisy%'
"""

FIRST_OF_OTHERS = 10_000_000
"""Numbers of jobs beside those of the producer."""
QUIET_RATE, QUIET_SECONDS = 20, 10
NOISY_SECONDS = 0.05
FULL = "full"
LETTERS = 25
CPU_SECONDS = 5


@dataclass(frozen=True)
class Full:
    """Beside a full key: seconds to the last start of others' jobs, and the relay's CPU."""

    seconds: float
    cpu: float

    def __str__(self) -> str:
        return f"{self.seconds:.2f} s, then the relay takes {self.cpu:.1%} of a core"


def run(bench: Bench) -> list[Comparison]:
    """Throughput under limits, a noisy tenant, and a full key."""
    return [*_throughputs(bench), _noise(bench), *_full_keys(bench)]


def _throughputs(bench: Bench) -> list[Comparison]:
    few, many, slow = bench.size(20_000), bench.size(100_000), bench.size(5000)
    short, shortest = bench.size(500), bench.size(20)
    found = in_turns(
        {
            "no keys": partial(_drain, bench, NONE, few, 1),
            "1,000 keys": partial(_drain, bench, LIMITS, few, 1000),
            f"{many:,} keys": partial(_drain, bench, LIMITS, many, many),
            "Procrastinate": partial(_locks, bench, slow, 0),
            "Procrastinate, 1,000 locks": partial(_locks, bench, slow, 1000),
            "one key": partial(_drain, bench, LIMITS, short, 1),
            "Procrastinate, one lock": partial(_locks, bench, shortest, 1),
        },
        bench.rounds,
        bench.say,
    )
    none, thousand, most, peer, locked, one, one_locked = found.values()
    return [
        Comparison("1,000 keys with limits ÷ no keys", thousand, none, "jobs/s", 0.7),
        Comparison(f"{many:,} keys with limits ÷ no keys", most, none, "jobs/s", 0.5),
        Comparison("1,000 keys ÷ Procrastinate's locks", thousand, locked, "jobs/s", None),
        Comparison("Procrastinate: 1,000 locks ÷ none", locked, peer, "jobs/s", None),
        Comparison(
            "one key's starts ÷ Procrastinate's with one lock", one, one_locked, "jobs/s", None
        ),
    ]


def _drain(bench: Bench, duly: Contestant, count: int, keys: int) -> float:
    with _keyed(bench, duly) as own:
        fill(own.database_url, count, keys=keys, has_keys=duly is not NONE)
        own.start(*RELAY)
        for _ in range(WORKERS):
            own.start(*WORKER)
        return rate(own, count)


def _locks(bench: Bench, count: int, locks: int) -> float:
    peer = replace(PROCRASTINATE, environment={"BENCH_ALONE": "1", "BENCH_LOCKS": str(locks)})
    with crew(bench.database_url, bench.amqp_url, peer.module, **peer.environment) as own:
        peer.create_tables(own.database_url)
        producer = own.start("bench.produce", peer.module, str(count), "100", "0", asks=True)
        producer.communicate("go\n")
        for command in peer.processes:
            own.start(*command)
        return rate(own, count)


def _noise(bench: Bench) -> Comparison:
    """From commit to start, of a tenant that submits 20 jobs a second."""
    backlog = bench.size(200_000)
    found = in_turns(
        {
            "quiet": partial(_quiet_tenant, bench, 0),
            f"{backlog:,} due jobs of another tenant": partial(_quiet_tenant, bench, backlog),
        },
        *(bench.rounds, bench.say, lambda each: f"p99 {each[0]:.3f} s, longest run {each[1]:.3f}"),
    )
    quiet, noisy = found.values()
    longest = [seconds for _, seconds in noisy]
    return Comparison(
        "p99 beside a noisy tenant ÷ quiet p99 + the other's longest run",
        [p99 for p99, _ in noisy],
        [p99 + most for (p99, _), most in zip(quiet, longest, strict=True)],
        *("s", 1),
        less_is_better=True,
    )


def _quiet_tenant(bench: Bench, backlog: int) -> tuple[float, float]:
    """The p99, and the other tenant's longest run."""
    count = QUIET_RATE * QUIET_SECONDS
    with warm(bench, SHARES, count=count, rate=QUIET_RATE, alone=True) as (own, producer):
        before = len(WARM_UP)
        if backlog:
            url, first = own.database_url, FIRST_OF_OTHERS
            fill(url, backlog, first=first, prefix="noisy", seconds=NOISY_SECONDS)
            wait_for("the noisy tenant", own.tally, before + 500)
        moments: list[tuple[int, int]] = go(producer)
        wait_until(lambda: set(range(count)) <= own.tally.starts().keys(), 300)
        starts = own.tally.starts()
        longest = _ask(own.database_url, LONGEST) if backlog else 0.0
    waits = [(starts[n] - committed) * NANOSECOND for n, (_, committed) in enumerate(moments)]
    return quantiles(waits, n=100)[98], longest


def _full_keys(bench: Bench) -> list[Comparison]:
    small, large = bench.size(1000), bench.size(100_000)
    found = in_turns(
        {f"{count:,} due": partial(_full, bench, count) for count in (small, large)},
        *(bench.rounds, bench.say, str),
    )
    little, much = found.values()
    worst = [each.seconds for each in much]
    return [
        Comparison(
            *("25 other keys start beside a full one ÷ 1 s", worst, [1.0] * len(worst), "s", 1),
            less_is_better=True,
        ),
        Comparison(
            f"relay's CPU beside {large:,} due jobs of a full key ÷ {small:,}",
            [each.cpu for each in much],
            [each.cpu for each in little],
            *("of a core", 1.2),
            less_is_better=True,
        ),
    ]


def _full(bench: Bench, backlog: int) -> Full:
    with _keyed(bench, LIMITS) as own:
        relay = own.start(*RELAY)
        own.start(*WORKER)
        fill(own.database_url, 1, prefix=FULL, seconds=3600)
        wait_for("the long job", own.tally, 1)
        fill(own.database_url, backlog, first=FIRST_OF_OTHERS, prefix=FULL)
        time.sleep(2)  # what is measured is a relay that knows the backlog
        began = time.monotonic_ns()
        fill(own.database_url, LETTERS, first=100, prefix="other", keys=LETTERS, vacuums=False)
        wait_for("the others", own.tally, 1 + LETTERS)
        seconds = (max(own.tally.starts().values()) - began) * NANOSECOND
        return Full(seconds, _cpu(relay.pid))


def _cpu(pid: int) -> float:
    """The share of a core that a process takes, with its threads."""

    def spent() -> float:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    before = spent()
    time.sleep(CPU_SECONDS)
    return (spent() - before) / CPU_SECONDS


@contextmanager
def _keyed(bench: Bench, duly: Contestant) -> Iterator[Crew]:
    names = duly.module, duly.queues
    with crew(bench.database_url, bench.amqp_url, *names, **duly.environment) as own:
        duly.create_tables(own.database_url)
        yield own


def fill(
    database_url: str,
    count: int,
    *,
    first: int = 0,
    prefix: str = "key:",
    keys: int = 1,
    seconds: float = 0,
    has_keys: bool = True,
    vacuums: bool = True,
) -> None:
    """A backlog of so many jobs, over so many keys."""
    row = {"first": first, "count": count, "prefix": prefix, "keys": keys}
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(FILL, row | {"seconds": seconds, "has_keys": has_keys})
        if vacuums:
            connection.execute("VACUUM ANALYZE duly.jobs, duly.outbox_events")
            connection.execute("CHECKPOINT")


def _ask(database_url: str, query: str) -> float:
    with psycopg.connect(database_url, autocommit=True) as connection:
        row = connection.execute(query).fetchone()
    assert row
    return float(row[0])
