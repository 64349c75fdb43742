"""Commits under contention: what a job in a transaction costs the server when many write at once.

pgbench is the writer, so that the server is what is measured and not a client in Python.
"""

import re
import subprocess
from functools import partial
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory

import psycopg

from bench.backlogs import JOB
from bench.comparison import Comparison, in_turns
from bench.crew import fresh_database
from bench.setting import Bench
from bench.systems.shop import CREATE_ORDERS
from dev import binaries
from dev.say import Failure
from migrations.run import upgrade
from outbox.store import transitions
from outbox.submission.wake_up import NOTIFY

WRITERS = (16, 64)
SECONDS = 3
"""The first of which does not count: each connection plans its statements then."""
SLICES = 2
"""Of a round, so that what else the machine does hits all alike."""
ORDER = "INSERT INTO orders (item) VALUES ('a thing')"
JOB_ID = "'019ac5d0' || :turn || :writer"
"""Made of pgbench's variables, since a client makes it: Postgres would take 15 µs for a UUID of its
own. Each is greater than those before, more or less, as those of `submit` are."""
VARIABLES = [r"\set turn :turn + 1", rf"\set writer :client_id + {10**11}"]
BOUND = {"turn": 10**11} | {name: value for name, value in JOB.items() if value is not None}
DEFINED = [argument for name, value in BOUND.items() for argument in ("-D", f"{name}={value}")]


def run(bench: Bench) -> list[Comparison]:
    """Transactions with a business row alone and with a job, which goes out with the COMMIT.

    So it is in sessions of `job_sessions`. For the context, with the fewer writers: in a round trip
    of its own before the COMMIT, as in other sessions, and a NOTIFY.
    """
    few, many = WRITERS
    return _compare(bench, few, with_context=True) + _compare(bench, many, with_context=False)


def _compare(bench: Bench, writers: int, *, with_context: bool) -> list[Comparison]:
    submit = _submit()
    transactions = {
        "a row": [ORDER, "COMMIT"],
        "submit ÷ no job": [ORDER, r"\startpipeline", submit, "COMMIT", r"\endpipeline"],
    }
    if with_context:
        transactions["before COMMIT ÷ no job"] = [ORDER, submit, "COMMIT"]
        transactions["NOTIFY ÷ none"] = [ORDER, NOTIFY, "COMMIT"]
    rates = in_turns(
        {
            f"{writers} writers, {what}": partial(
                _rate, bench, writers, [*VARIABLES, "BEGIN", *statements]
            )
            for what, statements in transactions.items()
        },
        bench.rounds * SLICES,
        bench.say,
    )
    (_, alone), (what, with_job), *context = rates.items()
    return [
        Comparison(what, with_job, alone, "tx/s", 0.6, 0.75),
        *(Comparison(what, values, alone, "tx/s", None) for what, values in context),
    ]


def _submit() -> str:
    """SUBMIT as `submit` sends it: what a job has is bound, and no constant of the plan."""
    terms = {name: "NULL" if value is None else f":{name}" for name, value in JOB.items()}
    return transitions.SUBMIT % (terms | {"id": f"({JOB_ID})"})


def _rate(bench: Bench, writers: int, statements: list[str]) -> float:
    """Transactions per second; statements are prepared, as psycopg prepares what it repeats."""
    with fresh_database(bench.database_url) as own, TemporaryDirectory() as folder:
        upgrade(own)
        with psycopg.connect(own, autocommit=True) as connection:
            connection.execute(CREATE_ORDERS)
        script = Path(folder) / "script.sql"
        script.write_text("".join(map(_line, statements)))
        said = subprocess.run(
            [
                *(_pgbench(), "-n", "-M", "prepared", "-T", str(max(bench.size(SECONDS), 2))),
                *DEFINED,
                *("-c", str(writers), "-j", "2", "-P", "1", "-f", script, own),
            ],
            capture_output=True,
            text=True,
            check=True,
        )
    _, *rates = re.findall(r"^progress: .* ([\d.]+) tps", said.stderr, re.MULTILINE)
    return mean(map(float, rates))


def _line(statement: str) -> str:
    """A line for pgbench: its own commands begin with a backslash and end without a semicolon."""
    return " ".join(statement.split()) + ("\n" if statement.startswith("\\") else ";\n")


def _pgbench() -> Path:
    folder = binaries.postgres()
    if folder is None or not (folder / "pgbench").exists():
        raise Failure("pgbench is needed: it comes with the server's package of Postgres")
    return folder / "pgbench"
