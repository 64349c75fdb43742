"""Run benchmarks: `python -m bench`, or `python -m bench relay latency` for some."""

import importlib
import sys
import time
from typing import Annotated

import typer
from rich.console import Console

from bench import report
from bench.comparison import Comparison
from bench.crew import FOLDER
from bench.setting import Bench
from dev.servers import up

ALL = (
    "relay",
    "messages",
    "end_to_end",
    "worker",
    "waiting",
    "waiters",
    "batch",
    "latency",
    "commits",
    "handler",
    "backlog",
    "window",
    "history",
    "keys",
    "looks",
    "scaling",
    "traces",
)


def main(
    names: Annotated[list[str] | None, typer.Argument(help=f"Some of: {', '.join(ALL)}")] = None,
    rounds: Annotated[int, typer.Option(help="How often each is measured, in turns")] = 3,
    scale: Annotated[float, typer.Option(help="2 doubles the numbers of jobs and rows")] = 1,
) -> None:
    """Measure Duly beside its peers on the same servers, in turns, and print the ratios."""
    chosen = names or ALL
    if unknown := set(chosen) - set(ALL):
        raise typer.BadParameter(
            f"there is no {', '.join(sorted(unknown))}; there are {', '.join(ALL)}"
        )
    console = Console(width=None if sys.stdout.isatty() else 150)
    servers = up("bench")
    bench = Bench(servers.database_url, servers.amqp_url, rounds, scale, console.print)
    conditions = report.conditions(bench)
    found: dict[str, list[Comparison]] = {}
    for name in chosen:
        started = time.monotonic()
        console.print(f"[bold]{name}[/bold]")
        found[name] = importlib.import_module(f"bench.{name}").run(bench)
        console.print(f"{name} took {time.monotonic() - started:.0f} s")
    report.show(found, console)
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / "report.json"
    report.write(path, conditions, found)
    table = path.with_suffix(".md")
    table.write_text(report.markdown(found))
    console.print(f"all values are in {path}, and the table of the docs is in {table}")


if __name__ == "__main__":
    typer.run(main)
