"""Where the benchmarks run, and how large they are."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Bench:
    """Servers, sizes and a voice."""

    database_url: str
    amqp_url: str
    rounds: int
    scale: float
    say: Callable[[str], None]

    def size(self, usual: int) -> int:
        """A number of jobs or rows, made larger or smaller as was asked."""
        return max(1, int(usual * self.scale))
