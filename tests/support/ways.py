"""The ways through the code that docs/how-it-works.md lists, file by file."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "how-it-works.md"
STATION = re.compile(r"^(\d+)\. `(outbox/[\w/]+\.py)`", re.MULTILINE)
BESIDE = re.compile(r"`(outbox/[\w/.]+)`")


def section(title: str) -> str:
    """The text under the heading."""
    _, _, rest = PAGE.read_text().partition(f"\n## {title}\n")
    assert rest, title
    return rest.partition("\n## ")[0]


def stations(title: str) -> list[str]:
    """The files of a way, in order."""
    found = STATION.findall(section(title))
    assert [int(number) for number, _ in found] == list(range(1, len(found) + 1))
    return [file for _, file in found]


def beside() -> list[str]:
    """The files and folders that the page says not to count."""
    return BESIDE.findall(section("What is not counted"))
