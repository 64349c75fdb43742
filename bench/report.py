"""The comparisons as a table for people, as Markdown for the docs and as JSON for programs."""

import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from bench.comparison import Comparison
from bench.contestants import TUNING
from bench.setting import Bench
from dev.versions import postgres_version, rabbitmq_version
from outbox.amqp.connection import parameters

PACKAGES = (
    "dramatiq",
    "celery",
    "procrastinate",
    "pgqueuer",
    "pika",
    "psycopg",
    "sqlalchemy",
    "fastapi",
)


def show(found: Mapping[str, Sequence[Comparison]], console: Console) -> None:
    """Print a row for each comparison."""
    columns = (
        *("", "what", "Duly", "beside", "unit", "ratio", "spread", "tuned ÷"),
        *("reach", "beyond", ""),
    )
    table = Table(*columns, expand=False, caption=f"tuned: {TUNING}")
    for name, comparisons in found.items():
        for each in comparisons:
            low, high = each.spread
            table.add_row(
                *(name, each.what, f"{median(each.ours):,.4g}", f"{median(each.theirs):,.4g}"),
                *(
                    each.unit,
                    f"{each.ratio:.2f}",
                    f"{low:.2f} to {high:.2f}",
                    "" if each.tuned_ratio is None else f"{each.tuned_ratio:.2f}",
                    _goal(each.reach, each),
                ),
                *(_goal(each.beyond, each), each.verdict),
            )
    console.print(table)


def markdown(found: Mapping[str, Sequence[Comparison]]) -> str:
    """The rows of the table in docs/performance.md."""
    lines = [
        "| | what | Duly | beside | | ratio | spread | tuned |",
        "|---|---|---:|---:|---|---:|---|---:|",
    ]
    for name, comparisons in found.items():
        for each in comparisons:
            low, high = each.spread
            cells = (
                *(name, each.what, f"{median(each.ours):,.4g}", f"{median(each.theirs):,.4g}"),
                *(each.unit, f"{each.ratio:.2f}", f"{low:.2f} to {high:.2f}"),
                "" if each.tuned_ratio is None else f"{each.tuned_ratio:.2f}",
            )
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def conditions(bench: Bench) -> dict[str, object]:
    """What is measured, and with what: to be asked before it is, as a checkout may move on."""
    return {
        "commit": _commit(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": {
            "python": platform.python_version(),
            "postgres": postgres_version(bench.database_url),
            "rabbitmq": rabbitmq_version(parameters(bench.amqp_url)),
            **{name: version(name) for name in PACKAGES},
        },
        "rounds": bench.rounds,
        "scale": bench.scale,
        "tuned": TUNING,
    }


def write(
    path: Path, conditions: Mapping[str, object], found: Mapping[str, Sequence[Comparison]]
) -> None:
    """Write all values, and the conditions in which they were found."""
    values = {
        name: [
            asdict(each) | {"ratio": each.ratio, "tuned_ratio": each.tuned_ratio}
            for each in comparisons
        ]
        for name, comparisons in found.items()
    }
    path.write_text(json.dumps({**conditions, "found": values}, indent=2) + "\n")


def _goal(goal: float | None, comparison: Comparison) -> str:
    if goal is None:
        return ""
    return f"{'≤' if comparison.less_is_better else '≥'} {goal:g}"


def _commit() -> str:
    command = ("git", "describe", "--always", "--dirty")
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
