"""Writes the table of all checks in docs/doctor.md from the code: `python -m dev.checks_table`."""

import re

from dev.say import CHECKOUT
from outbox.doctor.catalog import CHECKS

PAGE = CHECKOUT / "docs" / "doctor.md"
PLACE = re.compile(r"(?<=<!-- checks -->\n).*?(?=<!-- end of checks -->)", re.DOTALL)


def tables() -> str:
    """A heading for each group, and a row for each of its checks."""
    lines: list[str] = []
    group = None
    for each in CHECKS:
        if each.group is not group:
            group = each.group
            lines += ["", f"### {group}", "", "| check | all is well when |", "|---|---|"]
        lines.append(f"| `{each.name}` | {each.good} |")
    return "\n".join([*lines, "", ""])


def written(page: str) -> str:
    """The text with the tables of today between its marks."""
    return PLACE.sub(lambda _: tables(), page)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
