"""The verdicts as a table for people and as JSON for programs."""

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.chaos.contenders import Contender
from tests.chaos.verdict import Verdict

LINES = {
    "accepted (client told 2xx)": "accepted",
    "succeeded": "succeeded",
    "dead, found by a person": "dead",
    "of these, could have succeeded": "dead_though_able",
    "lost": "lost",
    "failed without a trace": "failed_without_a_trace",
    "stuck": "stuck",
    "Postgres effects twice": "stored_twice",
    "external effects under two keys": "called_under_two_keys",
    "repeated external effects": "called_again",
    "cancelled by their clients": "cancelled",
    "of these, had begun": "interrupted",
    "cancelled, and wrong": "cancels_wrong",
    "done in steps by several attempts": "resumed",
    "done in steps, and wrong": "steps_wrong",
    "batches that their clients cancelled": "batches_cancelled",
    "batches that a replay reopened": "batches_reopened",
    "batches wrong": "batches_wrong",
    "ticks that made a job": "ticks_made",
    "ticks skipped, with why": "ticks_skipped",
    "ticks wrong": "ticks_wrong",
    "limits and order wrong": "limits_wrong",
    "became a job that there was": "absorbed",
    "unique jobs wrong": "uniques_wrong",
    "repeated messages to others": "repeated_messages",
    "messages wrong": "messages_wrong",
    "pauses of queues": "pauses",
    "processes that ended by themselves": "fallen",
}


def show(verdicts: Mapping[str, Verdict], console: Console) -> None:
    """Print a column for each system."""
    table = Table("", *verdicts)
    for line, name in LINES.items():
        counts = [_count(getattr(verdict, name)) for verdict in verdicts.values()]
        table.add_row(line, *(f"{count:,}" for count in counts))
    console.print(table)


def write(path: Path, contender: Contender, settings: Mapping[str, Any], verdict: Verdict) -> None:
    """Write all that is needed to repeat and to question the run."""
    python = platform.python_version()
    report = {
        **settings,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {python}",
        "versions": {package: version(package) for package in contender.packages},
        "verdict": asdict(verdict),
    }
    path.write_text(json.dumps(report, indent=2) + "\n")


def _count(found: int | list[str]) -> int:
    return found if isinstance(found, int) else len(found)
