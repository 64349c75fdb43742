"""Commits under contention: what a job in a transaction costs the server when many write at once.

pgbench is the writer, so that the server is what is measured and not a client in Python.
"""

import json
import re
import subprocess
from functools import partial
from pathlib import Path
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
from outbox import steps
from outbox.nudge import NOTIFY

WRITERS = (16, 64)
SECONDS = 3
ORDER = "INSERT INTO orders (item) VALUES ('a thing')"
UUID_V7 = (
    "lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0')"
    " || substr(replace(gen_random_uuid()::text, '-', ''), 13)"
)
"""One that begins with the moment, as those of `submit` do."""


def run(bench: Bench) -> list[Comparison]:
    """Transactions with a business row alone, with a job, and with NOTIFY for the context.

    The job goes out with the COMMIT, as in sessions of `job_sessions`, or in a round trip of its
    own before it, as in others.
    """
    return [each for writers in WRITERS for each in _compare(bench, writers)]


def _compare(bench: Bench, writers: int) -> list[Comparison]:
    submit = _submit(bench)
    transactions = {
        "a row": [ORDER, "COMMIT"],
        "with a job": [ORDER, r"\startpipeline", submit, "COMMIT", r"\endpipeline"],
        "with a job before COMMIT": [ORDER, submit, "COMMIT"],
        "with NOTIFY": [ORDER, NOTIFY, "COMMIT"],
    }
    rates = in_turns(
        {
            f"{writers} writers, {what}": partial(_rate, bench, writers, ["BEGIN", *statements])
            for what, statements in transactions.items()
        },
        bench.rounds,
        bench.say,
    )
    alone, with_job, before_commit, with_notify = rates.values()
    return [
        Comparison(f"{writers} writers, submit ÷ no job", with_job, alone, "tx/s", 0.6, 0.75),
        Comparison(
            f"{writers} writers, before COMMIT ÷ no job", before_commit, alone, "tx/s", None
        ),
        Comparison(f"{writers} writers, NOTIFY ÷ none", with_notify, alone, "tx/s", None),
    ]


def _submit(bench: Bench) -> str:
    """SUBMIT as `outbox.submit` sends it, with one job's values in place of its parameters."""
    values = {"jobs": json.dumps([JOB | {"id": "<id>"}])}
    query = steps.SUBMIT.replace("%(jobs)s", "replace(%(jobs)s, '<id>', UUID_V7)")
    with psycopg.connect(bench.database_url) as connection:
        return psycopg.ClientCursor(connection).mogrify(query, values).replace("UUID_V7", UUID_V7)


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
                *(_pgbench(), "-n", "-M", "prepared", "-T", str(bench.size(SECONDS))),
                *("-c", str(writers), "-j", "2", "-f", script, own),
            ],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    tps = re.search(r"tps = ([\d.]+)", said.stdout)
    assert tps
    return float(tps[1])


def _line(statement: str) -> str:
    """A line for pgbench: its own commands begin with a backslash and end without a semicolon."""
    return " ".join(statement.split()) + ("\n" if statement.startswith("\\") else ";\n")


def _pgbench() -> Path:
    folder = binaries.postgres()
    if folder is None or not (folder / "pgbench").exists():
        raise Failure("pgbench is needed: it comes with the server's package of Postgres")
    return folder / "pgbench"
