"""The table of a run, for the terminal and for the docs."""

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version

from rich.console import Console
from rich.table import Table

from tests.compare.questions import QUESTIONS
from tests.compare.run import TWICE, Seen


def show(seen: Seen, console: Console) -> None:
    """Print it."""
    table = Table("", *(contender.name for contender in seen), show_lines=True)
    for row in rows(seen):
        table.add_row(*(cell.replace("**", "").replace("`", "") for cell in row))
    console.print(table)
    console.print(about(seen))


def markdown(seen: Seen) -> str:
    """As docs/when-to-use-what.md shows it."""
    lines = [("", *(contender.name for contender in seen)), ("---",) * (len(seen) + 1), *rows(seen)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + f"\n\n{about(seen)}\n"


def rows(seen: Seen) -> list[Sequence[str]]:
    """A row for each question that was asked, and one for what came too late for its own."""
    titles = {name: title for name, (title, _) in QUESTIONS.items()}
    titles[TWICE] = "Besides"
    return [
        (title, *(answers[name].text if name in answers else "" for answers in seen.values()))
        for name, title in titles.items()
        if any(name in answers for answers in seen.values())
    ]


def about(seen: Seen) -> str:
    """When it was run, and with what."""
    packages = dict.fromkeys(each for contender in seen for each in contender.packages)
    versions = ", ".join(f"{each} {version(each)}" for each in packages)
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, "
        f"{os.cpu_count()} cores; {versions}"
    )
