"""The metrics that docs/metrics.md lists."""

import re

from dev.say import CHECKOUT

NAME = re.compile(r"^\| `(duly_\w+)` \|", re.MULTILINE)


def documented_metrics() -> set[str]:
    """Their names."""
    return set(NAME.findall((CHECKOUT / "docs" / "metrics.md").read_text()))
