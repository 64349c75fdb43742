"""What batches must be: the same rules as those of the SQL, in plain Python."""

from collections import Counter
from dataclasses import dataclass, field
from uuid import UUID

ENDS = ("succeeded", "dead", "cancelled")


@dataclass(slots=True)
class Model:
    """One batch: what was counted, and what waits to be."""

    parent: UUID | None = None
    is_sealed: bool = True
    is_cancelled: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    """By `members` and the three ends."""
    generation: int = 1
    outcome: str | None = None
    has_death: bool = False
    """Whether a death was seen in this generation."""
    changes: list[dict[str, int]] = field(default_factory=list)
    callbacks: list[tuple[int, str]] = field(default_factory=list)

    def ends(self) -> str | None:
        """How it settles with what was counted, or None."""
        if not self.is_sealed or self.counts["members"] > sum(self.counts[end] for end in ENDS):
            return None
        if self.is_cancelled:
            return "cancelled"
        return next((end for end in ("dead", "cancelled") if self.counts[end] > 0), "succeeded")

    def fold(self) -> list[dict[str, int]]:
        """Count what waits; returns what the parent is told."""
        before, changes = self.outcome, self.changes
        self.changes = []
        for change in changes:
            self.counts.update({name: n for name, n in change.items() if name != "reopens"})
        is_reopened = before is not None and any("reopens" in change for change in changes)
        if is_reopened:
            self.generation, self.has_death = self.generation + 1, False
        if any(change.get("dead", 0) > 0 for change in changes):
            if not self.has_death and not self.is_cancelled:
                self.callbacks.append((self.generation, "on_first_death"))
            self.has_death = True
        self.outcome = self.ends()
        if self.outcome and (before is None or is_reopened):
            self.callbacks.append((self.generation, "on_settled"))
            if self.outcome == "succeeded":
                self.callbacks.append((self.generation, "on_success"))
        return self._news(before, is_reopened=is_reopened)

    def _news(self, before: str | None, *, is_reopened: bool) -> list[dict[str, int]]:
        if before == self.outcome and not is_reopened:
            return []
        undone = {before: -1} | ({"reopens": 1} if is_reopened else {}) if before else {}
        told = {self.outcome: 1} if self.outcome else {}
        return [change for change in (undone, told) if change]
