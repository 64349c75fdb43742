"""What a panel of the dashboard shows, in few words."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

METRIC = re.compile(r"\bduly_\w+")
VARIABLES = ("queue", "kind")
"""Labels whose values the reader chooses."""
Sort = Literal["timeseries", "stat"]


@dataclass(frozen=True)
class Panel:
    """A graph, or a number where it says so. `unit` is one of Grafana's.

    `queries` are expressions, by the names of their series; `{{queue}}` stands for a label's value.
    `red_from` is the least value that is bad.
    """

    title: str
    unit: str
    description: str
    queries: Mapping[str, str]
    sort: Sort = "timeseries"
    red_from: float | None = None

    @property
    def metrics(self) -> list[str]:
        """The metrics that it shows, by the names that the processes give them."""
        return sorted({name for query in self.queries.values() for name in metrics(query)})


@dataclass(frozen=True)
class Row:
    """Panels with one subject."""

    title: str
    panels: tuple[Panel, ...]


def metrics(expression: str) -> set[str]:
    """Duly's metrics in an expression; a histogram's parts count as the histogram."""
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in METRIC.findall(expression)}


def largest(metric: str, *labels: str, where: str = "") -> str:
    """A gauge of the database: every relay tells the same, so the largest is taken."""
    return f"max{_by(labels)} ({metric}{_selector(labels, where)})"


def total(metric: str, *labels: str, where: str = "") -> str:
    """The sum of a gauge that each process has for itself."""
    return f"sum{_by(labels)} ({metric}{_selector(labels, where)})"


def rate(metric: str, *labels: str, where: str = "") -> str:
    """How much a counter grows each second, over all processes."""
    return f"sum{_by(labels)} (rate({metric}{_selector(labels, where)}[$__rate_interval]))"


def quantile(share: float, metric: str, *labels: str, over: str = "$__rate_interval") -> str:
    """What this share of a histogram's observations is below."""
    buckets = f"{metric}_bucket{_selector(labels)}[{over}]"
    return f"histogram_quantile({share}, sum{_by(('le', *labels))} (rate({buckets})))"


def quantiles(metric: str, *labels: str, over: str = "$__rate_interval") -> dict[str, str]:
    """The median and what 95 % are below, by their names in a legend."""
    shown = "".join(f"{{{{{label}}}}}, " for label in labels)
    return {
        f"{shown}half": quantile(0.5, metric, *labels, over=over),
        f"{shown}95 %": quantile(0.95, metric, *labels, over=over),
    }


def mean(metric: str, *labels: str) -> str:
    """The mean of a histogram's observations."""
    return f"{rate(f'{metric}_sum', *labels)} / {rate(f'{metric}_count', *labels)}"


def _by(labels: tuple[str, ...]) -> str:
    return f" by ({', '.join(labels)})" if labels else ""


def _selector(labels: tuple[str, ...], where: str = "") -> str:
    """What the dashboard's variables choose, and what else is wanted."""
    chosen = [f'{name}=~"${name}"' for name in labels if name in VARIABLES]
    wanted = [*chosen, *filter(None, [where])]
    return f"{{{', '.join(wanted)}}}" if wanted else ""
