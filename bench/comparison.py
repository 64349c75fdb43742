"""What a benchmark finds: Duly's values and those beside which they were measured."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

Value = TypeVar("Value")


@dataclass(frozen=True)
class Comparison:
    """`ours` ÷ `theirs`, measured in turns: the n-th of one belongs to the n-th of the other."""

    what: str
    ours: list[float]
    theirs: list[float]
    unit: str
    reach: float | None
    """None where it is there for the context."""
    beyond: float | None = None
    less_is_better: bool = False
    tuned: list[float] | None = None
    """What the tuned Duly did in these turns, where there is one."""

    @property
    def ratio(self) -> float:
        """Of the medians."""
        return median(self.ours) / median(self.theirs)

    @property
    def tuned_ratio(self) -> float | None:
        """Of the medians, tuned ÷ theirs."""
        return median(self.tuned) / median(self.theirs) if self.tuned else None

    @property
    def spread(self) -> tuple[float, float]:
        """The lowest and the highest ratio of a turn."""
        ratios = [ours / theirs for ours, theirs in zip(self.ours, self.theirs, strict=True)]
        return min(ratios), max(ratios)

    @property
    def verdict(self) -> str:
        """Which of its goals it met."""
        if self.reach is None:
            return ""
        if self.beyond is not None and self._meets(self.beyond):
            return "beyond"
        return "reached" if self._meets(self.reach) else "short"

    def _meets(self, goal: float) -> bool:
        return self.ratio <= goal if self.less_is_better else self.ratio >= goal


def in_turns(
    measurements: Mapping[str, Callable[[], Value]],
    rounds: int,
    say: Callable[[str], None],
    shown: Callable[[Value], str] = "{:,.4g}".format,
) -> dict[str, list[Value]]:
    """Take all measurements `rounds` times, one after the other, each round from the other end."""
    values: dict[str, list[Value]] = {name: [] for name in measurements}
    for number in range(rounds):
        names = list(measurements)
        for name in names if number % 2 == 0 else reversed(names):
            value = measurements[name]()
            values[name].append(value)
            say(f"{name}: {shown(value)}")
    return values
