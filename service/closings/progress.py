"""How far a closing is, from the counts of its batches."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy.orm import Session

from outbox.operations import batches
from outbox.operations.batches import BatchFilter, BatchRecord
from service.closings.kinds import Stage
from service.closings.models import Closing

MOST_BATCHES = 1000
"""Three, and more for each time that a replay made it go on."""


@dataclass(frozen=True, slots=True)
class Counts:
    """The jobs of one stage, as last counted: a moment late."""

    jobs: int = 0
    succeeded: int = 0
    dead: int = 0
    cancelled: int = 0
    batches_open: int = 0
    """Batches that have not settled: one may have jobs that were not counted yet."""

    @property
    def open(self) -> int:
        """How many have not ended."""
        return self.jobs - self.succeeded - self.dead - self.cancelled

    @property
    def is_open(self) -> bool:
        """Whether jobs are open, or may be."""
        return self.open > 0 or self.batches_open > 0


def counts(session: Session, closing: Closing) -> dict[Stage, Counts]:
    """The jobs of each stage."""
    found: list[BatchRecord] = []
    if closing.batch_id is not None:
        inside = BatchFilter(parent_id=closing.batch_id)
        found = batches.find(session, inside, limit=MOST_BATCHES)
    return {stage: _sum(found, closing.subject_of(stage)) for stage in Stage}


def _sum(found: Iterable[BatchRecord], subject: str) -> Counts:
    of_stage = [each for each in found if each.subject == subject]
    return Counts(
        jobs=sum(each.members for each in of_stage),
        succeeded=sum(each.succeeded for each in of_stage),
        dead=sum(each.dead for each in of_stage),
        cancelled=sum(each.cancelled for each in of_stage),
        batches_open=sum(each.outcome is None for each in of_stage),
    )
